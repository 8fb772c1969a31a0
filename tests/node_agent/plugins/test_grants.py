from bus.config.grant_table import Output
from bus.config.settings import Config, Grant, PluginsConfig, SensorsConfig, i2c_users
from node_agent.plugins import grants


def test_an_interface_without_a_grant_names_the_line_to_add() -> None:
    assert grants.missing("bme680", ["i2c", "plugin-state"], Grant()) == (
        "not granted: add i2c = [its addresses], state = true to [plugins.grants.bme680], "
        "since it imports i2c, plugin-state"
    )


def test_granted_interfaces_miss_nothing() -> None:
    grant = Grant(i2c=["0x77"], state=True)
    assert grants.missing("bme680", ["i2c", "plugin-state", "gpio-provider"], grant) == ""


def test_the_clock_and_the_machines_health_are_free() -> None:
    assert grants.missing("pizero-monitor", ["gpio-provider", "system-info"], Grant()) == ""


def test_actuators_are_not() -> None:
    refused = grants.missing("x", ["led-controller", "buzzer-controller"], Grant())
    assert refused == (
        "not granted: add leds = [its LEDs], buzzer = true to [plugins.grants.x], "
        "since it imports led-controller, buzzer-controller"
    )


def test_only_what_is_not_granted_yet_is_named() -> None:
    refused = grants.missing("x", ["led-controller", "i2c", "uart"], Grant(leds=[3], uart=True))
    assert refused == (
        "not granted: add i2c = [its addresses] to [plugins.grants.x], since it imports i2c"
    )


def test_pins_in_either_direction_are_enough_for_the_interface() -> None:
    assert grants.missing("x", ["gpio"], Grant(inputs=[17])) == ""
    assert grants.missing("x", ["gpio"], Grant(outputs=[Output(pin=22, safe="low")])) == ""
    assert grants.missing("x", ["gpio", "readings", "events"], Grant()) == (
        "not granted: add inputs = [its pins] or outputs = [its pins, each with a safe level], "
        "readings = [its sensors], events = true to [plugins.grants.x], "
        "since it imports gpio, readings, events"
    )


def test_a_configured_sensor_that_no_plugin_may_read_is_named() -> None:
    config = Config(
        sensors=SensorsConfig(dht22_pins=[4, 22], bme680_addresses=["0x76", "0x77"]),
        plugins=PluginsConfig(
            enabled=["dht22", "bme680"],
            grants={"dht22": Grant(gpio=[4]), "bme680": Grant(i2c=["0x77"])},
        ),
    )
    dht22, bme680 = grants.unread_sensors(config)
    assert dht22.startswith("sensors.dht22_pins: 22 is not read: add it to gpio in ")
    assert bme680.startswith("sensors.bme680_addresses: 0x76 is not read: add it to i2c in ")


def test_the_refusal_of_an_i2c_address_advises_only_what_the_configuration_takes() -> None:
    config = Config(
        plugins=PluginsConfig(enabled=["oled", "light"], grants={"oled": Grant(i2c=["0x3c"])})
    )

    def refusal(address: int) -> str:
        return grants.i2c_refusal("light", address, i2c_users(config))

    assert refusal(0x23) == 'not granted: add i2c = ["0x23"] to [plugins.grants.light]'
    assert refusal(0x3C) == "not granted: i2c 0x3c belongs to plugins.grants.oled.i2c"
    for address in (0x00, 0x07, 0x78, 0xFF):
        found = f"addr: found 0x{address:02x}, expected a 7-bit address from 0x08 to 0x77"
        assert found in refusal(address)
