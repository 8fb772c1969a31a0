"""Latest readings, as the broker retains them."""

import sqlite3
from pathlib import Path

import msgspec
import pytest

from bus.contract.messages import Reading
from bus.contract.topics import Topic, TopicKind
from bus.errors import UnavailableError
from hub_app.history.query.latest import LatestReadings
from hub_app.history.removal import hide_sensor
from hub_app.history.writer import Arrival, Writer
from tests.hub_app.history.samples import START, reading

ROOM = "harvester/pi4/readings/room"
AIR = "harvester/pi4/readings/air"


def latest(tmp_path: Path, *topics: str) -> dict[str, bytes]:
    return dict(LatestReadings(tmp_path / "history.db").load(topics))


def decoded(payload: bytes) -> Reading:
    return msgspec.json.decode(payload, type=Reading)


def test_the_latest_reading_of_each_sensor_is_found_before_and_after_its_move(
    db: sqlite3.Connection, tmp_path: Path
) -> None:
    writer = Writer(db)
    writer.store([Arrival(reading(n), False) for n in range(10)], [], START)
    found = decoded(latest(tmp_path, ROOM)[ROOM])
    assert found == reading(9)
    # An hour later, they have moved; another sensor's are new.
    later = START + 3_600_000
    air = reading(11, later, sensor_id="air")
    writer.store([Arrival(reading(10), False), Arrival(air, False)], [], later)
    writer.store([Arrival(reading(12, later, sensor_id="air"), False)], [], later + 1)
    found_later = latest(tmp_path, ROOM, AIR)
    assert decoded(found_later[ROOM]) == reading(10)
    assert decoded(found_later[AIR]).seq == 12


def test_only_wanted_topics_and_no_removed_sensors_are_found(
    db: sqlite3.Connection, tmp_path: Path
) -> None:
    arrivals = [Arrival(reading(1), False), Arrival(reading(2, sensor_id="air"), False)]
    Writer(db).store(arrivals, [], START)
    assert list(latest(tmp_path, AIR)) == [AIR]
    hide_sensor(db, "pi4", "air")
    assert latest(tmp_path, AIR) == {}


def test_without_a_history_there_is_nothing_and_a_damaged_one_is_unavailable(
    tmp_path: Path,
) -> None:
    assert latest(tmp_path, ROOM) == {}
    (tmp_path / "history.db").write_bytes(b"no database" * 1000)
    with pytest.raises(UnavailableError, match="cannot be read"):
        latest(tmp_path, ROOM)


def test_it_keeps_the_topics_of_readings() -> None:
    source = LatestReadings(Path("history.db"))
    assert source.keeps(ROOM)
    assert not source.keeps(str(Topic("pi4", TopicKind.ABOUT)))
    assert not source.keeps("homeassistant/x")
