"""The names of a hub's certificate."""

import pytest

from bus.config.broker_table import BrokerConfig
from bus.config.settings import Config
from bus.errors import MisconfiguredError
from harvester.hub import own_names

HUB = Config()


def test_every_address_is_named_before_the_machine_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(own_names, "own_addresses", lambda: ["192.168.7.10", "10.0.0.1"])
    names = own_names.certificate_names(HUB, [])
    assert names[:2] == ["192.168.7.10", "10.0.0.1"]
    assert names[-3:] == ["localhost", "127.0.0.1", "::1"]


def test_a_certificate_that_no_other_machine_could_use_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(own_names, "own_addresses", list)
    with pytest.raises(MisconfiguredError, match="found no address"):
        own_names.certificate_names(HUB, [])
    assert own_names.certificate_names(HUB, ["hub.lan"])[0] == "hub.lan"


def test_a_broker_on_one_address_has_that_one_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(own_names, "own_addresses", lambda: ["192.168.7.10"])
    config = Config(broker=BrokerConfig(listen="10.0.0.9"))
    assert own_names.certificate_names(config, [])[0] == "10.0.0.9"
    assert "192.168.7.10" not in own_names.certificate_names(config, [])
