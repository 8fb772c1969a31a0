"""Quantities: Home Assistant's device classes of sensors and of binary sensors.

Source: Home Assistant, components/sensor/const.py and components/binary_sensor/__init__.py, 2025.
"""

_SENSOR = (
    "absolute_humidity apparent_power aqi area atmospheric_pressure battery "
    "blood_glucose_concentration carbon_dioxide carbon_monoxide conductivity current data_rate "
    "data_size date distance duration energy energy_distance energy_storage enum frequency gas "
    "humidity illuminance irradiance moisture monetary nitrogen_dioxide nitrogen_monoxide "
    "nitrous_oxide ozone ph pm1 pm10 pm25 pm4 power power_factor precipitation "
    "precipitation_intensity pressure reactive_energy reactive_power signal_strength "
    "sound_pressure speed sulphur_dioxide temperature timestamp volatile_organic_compounds "
    "volatile_organic_compounds_parts voltage volume volume_flow_rate volume_storage water weight "
    "wind_direction wind_speed"
)
_BINARY_SENSOR = (
    "battery battery_charging carbon_monoxide cold connectivity door garage_door gas heat light "
    "lock moisture motion moving occupancy opening plug power presence problem running safety "
    "smoke sound tamper update vibration window"
)
QUANTITIES = frozenset(f"{_SENSOR} {_BINARY_SENSOR}".split())
