from pathlib import Path

import pytest

from node_agent.plugins.readings import Sample
from node_agent.plugins.sensor_owners import MAX_IDS_PER_PLUGIN, SensorOwners

BOTH = ["dht22", "bme680"]


class Clock:
    now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


def sample(sensor_id: str, timestamp_ms: int = 1) -> Sample:
    return Sample(sensor_id, timestamp_ms, {"x": 1.0})


def test_an_id_belongs_to_the_plugin_that_published_it_first() -> None:
    owners = SensorOwners(BOTH)
    assert owners.admit("dht22", [sample("room")]).samples == [sample("room")]
    admission = owners.admit("bme680", [sample("room"), sample("air")])
    assert admission.samples == [sample("air")]
    assert admission.problems == [
        "sensor id room belongs to plugin dht22: readings of plugin bme680 under it are refused"
    ]
    assert owners.admit("dht22", [sample("room")]).problems == []


def test_an_id_that_begins_with_another_plugins_name_is_its_publishers_own() -> None:
    owners = SensorOwners(BOTH)
    owners.admit("dht22", [])
    assert owners.admit("bme680", [sample("dht22-gpio4")]).problems == []
    assert owners.admit("dht22", [sample("dht22-gpio4")]).samples == []


@pytest.mark.parametrize("first", BOTH)
def test_of_plugins_that_start_together_the_first_enabled_gets_the_id(first: str) -> None:
    owners = SensorOwners(BOTH, monotonic_s=Clock())
    second = next(plugin for plugin in BOTH if plugin != first)
    published = []
    for plugin in (first, second, first, second):
        published += [(plugin, s) for s in owners.admit(plugin, [sample("room")]).samples]
    assert published == [("dht22", sample("room"))] * 2


def test_readings_that_wait_are_not_lost() -> None:
    owners = SensorOwners(BOTH, monotonic_s=Clock())
    assert owners.admit("bme680", [sample("air", 1)]).samples == []
    owners.has_polled("dht22")
    admission = owners.admit("bme680", [sample("air", 2)])
    assert admission.samples == [sample("air", 1), sample("air", 2)]


def test_a_plugin_that_is_slow_to_start_delays_the_others_for_ten_seconds_at_most() -> None:
    clock = Clock()
    owners = SensorOwners(BOTH, monotonic_s=clock)
    assert owners.admit("bme680", [sample("air")]).samples == []
    clock.now_s += 10
    assert len(owners.admit("bme680", [sample("air")]).samples) == 2


def test_owners_outlive_a_restart_and_a_plugin_that_is_not_enabled_loses_its_ids(
    tmp_path: Path,
) -> None:
    path = tmp_path / "state" / "owners.json"
    owners = SensorOwners(BOTH, path)
    owners.admit("dht22", [sample("room")])
    owners.save()
    # Whichever is first in the table now.
    again = SensorOwners([*reversed(BOTH)], path)
    assert again.admit("bme680", [sample("room")]).samples == []
    alone = SensorOwners(["bme680"], path)
    assert alone.admit("bme680", [sample("room")]).problems == []


@pytest.mark.parametrize("content", [b"", b"[1]", b'{"room": 1}', b"\xff"])
def test_a_damaged_file_is_named_and_the_ids_are_free(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, content: bytes
) -> None:
    path = tmp_path / "owners.json"
    path.write_bytes(content)
    assert SensorOwners(BOTH, path).admit("dht22", [sample("room")]).problems == []
    assert str(path) in caplog.text
    assert (tmp_path / "owners.damaged").read_bytes() == content


def test_a_plugin_that_invents_ids_is_refused_at_its_bound() -> None:
    owners = SensorOwners(BOTH)
    ids = [sample(f"s{number}") for number in range(MAX_IDS_PER_PLUGIN + 2)]
    admission = owners.admit("dht22", ids)
    assert admission.samples == ids[:MAX_IDS_PER_PLUGIN]
    assert len(admission.problems) == 2
    assert owners.admit("bme680", [sample("air")]).problems == []


def test_an_id_that_is_called_like_an_enabled_plugin_is_kept_for_it() -> None:
    owners = SensorOwners(BOTH)
    first, second = BOTH
    (refused,) = owners.admit(first, [sample(second)]).problems
    assert refused == (
        f"sensor id {second} belongs to plugin {second}: "
        f"readings of plugin {first} under it are refused"
    )
    assert owners.admit(second, [sample(second)]).problems == []
