"""The [homeassistant] table: what is refused, and with which words."""

from pathlib import Path

import pytest

from bus.config import config_file
from bus.errors import MisconfiguredError

HUB = "cluster.role=hub"


def load(*keys: str) -> None:
    config_file.load(None, [HUB, *(f"homeassistant.{key}" for key in keys)])


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        (("prefix=home assistant",), "homeassistant.prefix"),
        (("prefix=a/",), "homeassistant.prefix"),
        (("prefix=harvester",), "homeassistant.prefix"),
        (("prefix=a/+",), "homeassistant.prefix"),
        (("broker=http://ha.local",), "expected mqtt://HOST, mqtts://HOST"),
        (("broker=mqtt://ann:secret@ha.local",), "homeassistant.credentials_file names"),
        (("ca_file=ca.pem",), "homeassistant.ca_file: found a path without homeassistant.broker"),
        (("credentials_file=x",), "homeassistant.credentials_file: found a path without"),
        (("broker=mqtt://ha.local", "ca_file=ca.pem"), "expected mqtts://HOST"),
        (("broker=mqtt://127.0.0.1",), "which is the hub's own broker"),
        (("broker=mqtt://localhost:1883",), "which is the hub's own broker"),
        (("broker=mqtts://localhost",), "which is the hub's own broker"),
    ],
)
def test_a_mistake_is_named(keys: tuple[str, ...], said: str) -> None:
    with pytest.raises(MisconfiguredError) as raised:
        load(*keys)
    assert said in str(raised.value)
    assert "secret" not in str(raised.value)


def test_an_outside_broker_of_the_hub_is_its_own_too() -> None:
    with pytest.raises(MisconfiguredError, match="which is the hub's own broker"):
        config_file.load(
            None, [HUB, "broker.url=mqtt://ha.local", "homeassistant.broker=mqtt://ha.local:1883"]
        )


def test_only_the_hub_forwards() -> None:
    with pytest.raises(MisconfiguredError, match="only the hub"):
        config_file.load(None, ["cluster.role=spoke", "homeassistant.broker=mqtt://ha.local"])


def test_what_fits_is_taken_and_paths_are_absolute(tmp_path: Path) -> None:
    path = tmp_path / "hub.toml"
    path.write_text(
        '[cluster]\nrole = "hub"\n[homeassistant]\nprefix = "ha/discovery"\n'
        'broker = "mqtts://ha.local"\nca_file = "ca.pem"\ncredentials_file = "ha.toml"\n'
    )
    found = config_file.load(path).homeassistant
    assert found.broker_url.address == ("ha.local", 8883)
    assert (found.ca_file, found.credentials_file) == (
        str(tmp_path / "ca.pem"),
        str(tmp_path / "ha.toml"),
    )
