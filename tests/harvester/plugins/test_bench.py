"""Grants of the workbench."""

from bus.config.settings import Config, SensorsConfig
from harvester.plugins.bench import everything

SENSORS = SensorsConfig(bme680_addresses=["0x77"])


def test_everything_leaves_out_a_bme680_that_the_node_does_not_have() -> None:
    granted = everything(Config(sensors=SENSORS)).i2c
    assert {"0x76", "0x77"} & set(granted) == {"0x77"}


def test_everything_has_every_address_for_a_plugin_with_chips_of_its_own() -> None:
    granted = everything(Config(sensors=SENSORS), has_own_chips=True).i2c
    assert granted == [f"0x{address:02x}" for address in range(0x08, 0x78)]
