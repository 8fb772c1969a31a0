"""Settings of one BME680 by their owner; `plugin.toml` describes them, with the same defaults."""

from dataclasses import dataclass


@dataclass(frozen=True)
class AirSettings:
    """Corrections, heater, air quality index and outputs of one sensor.

    `altitude_m` is the height above mean sea level; 0 leaves sea-level pressure out. `excellent_to`
    and those after it are the upper limits of the index's bands. `led` is the index of the LED
    that shows the band, -1 for none, `alarm` whether the buzzer sounds in the worst one.
    """

    temperature_offset_c: float = 0.0
    humidity_offset_pct: float = 0.0
    altitude_m: float = 0.0
    excellent_to: int = 50
    good_to: int = 100
    moderate_to: int = 150
    poor_to: int = 200
    burn_in_s: float = 60.0
    heater_c: float = 320.0
    heater_ms: int = 150
    led: int = 2
    alarm: bool = True

    @property
    def band_limits(self) -> tuple[int, int, int, int]:
        """Upper limits of all bands but the worst."""
        return (self.excellent_to, self.good_to, self.moderate_to, self.poor_to)
