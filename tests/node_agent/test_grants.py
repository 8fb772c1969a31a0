from broker.settings import Grant
from node_agent import grants


def test_an_interface_without_a_grant_names_the_line_to_add() -> None:
    assert grants.missing("bme680", ["i2c", "plugin-state"], Grant()) == (
        'add to [plugins.grants.bme680]: i2c = ["0x77"], state = true'
    )


def test_granted_interfaces_miss_nothing() -> None:
    grant = Grant(i2c=["0x77"], state=True)
    assert grants.missing("bme680", ["i2c", "plugin-state", "gpio-provider"], grant) == ""


def test_clock_leds_health_and_buzzer_may_be_imported_by_all() -> None:
    worlds = ["gpio-provider", "led-controller", "buzzer-controller", "system-info"]
    assert grants.missing("pizero-monitor", worlds, Grant()) == ""
