import contextlib
import json
import sqlite3
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bus.contract.messages import Value
from hub_app.history.schema import open_history
from hub_app.history.writer import Arrival, Writer
from tests.hub_app.history.samples import START, reading

NUMBERS = (
    *(0.0, -0.0, 1.5, -21.399999618530273, 5e-324, 2.5e-308, 1e-10, 2.0**53, 123456789.125),
    *(2 / 3, 0.1, 21.6, 25.680992521657345, -1e15 - 0.125, 1e-299, 2.1521152643494246e-308),
    *(3, 127, 128, 255, 256, 65535, 65536, 2**32, 2**53, -1, -32, -33, -128, -129, -(2**40)),
)
TEXTS = ("", "x", "\u00fc" * 40, "y" * 31, "y" * 32, "y" * 255, "y" * 256)
VALUES = st.one_of(
    st.floats(-(2.0**53), 2.0**53),
    st.integers(-(2**53), 2**53),
    st.booleans(),
    st.text(st.characters(min_codepoint=32, codec="utf-8"), max_size=40),
)
FIELDS = st.sampled_from([f"f{i}" for i in range(40)])


def values_in(db: sqlite3.Connection, data: dict[str, Value]) -> dict[str, Value]:
    Writer(db).store([Arrival(reading(1, data=data), is_late=False)], [], START)
    return dict(db.execute("SELECT field, value FROM reading_values").fetchall())


def wide_values_in(db: sqlite3.Connection) -> list[dict[str, Value]]:
    rows = db.execute("SELECT data FROM readings_wide ORDER BY timestamp_ms").fetchall()
    return [json.loads(data) for (data,) in rows]


@pytest.mark.parametrize("value", [*NUMBERS, *TEXTS, True, False])
def test_a_view_has_each_value_as_it_was_stored(db: sqlite3.Connection, value: Value) -> None:
    data = {"before": "b" * 33, "value": value, "after": 21.4}
    assert values_in(db, data) == data
    (wide,) = wide_values_in(db)
    assert wide == data
    assert type(wide["value"]) is type(value)


@given(st.dictionaries(FIELDS, VALUES, min_size=1))
def test_a_view_takes_any_reading_apart(
    tmp_path_factory: pytest.TempPathFactory, data: dict[str, Value]
) -> None:
    path = tmp_path_factory.mktemp("history") / "history.db"
    with contextlib.closing(open_history(path)) as db:
        assert values_in(db, data) == data
        assert wide_values_in(db) == [data]


def test_the_wide_view_has_a_row_for_each_reading(db: sqlite3.Connection) -> None:
    Writer(db).store([Arrival(reading(n), is_late=False) for n in range(3)], [], START)
    rows = db.execute("SELECT node, sensor, time, data FROM readings_wide ORDER BY time").fetchall()
    assert [row[:2] for row in rows] == [("pi4", "room")] * 3
    assert rows[0][2].endswith("Z")
    expected = [{"t": n, "up": True, "text": "x"} for n in (0.0, 1.0, 2.0)]
    # 1 == True, so the texts are compared.
    assert [row[3] for row in rows] == [json.dumps(one, separators=(",", ":")) for one in expected]


def test_the_wide_view_has_readings_of_one_moment_and_such_without_values(
    db: sqlite3.Connection,
) -> None:
    """A clock of whole seconds gives several readings one time."""
    readings = [reading(1, data={"t": 1.5}), reading(2, data={"t": 2.5}), reading(3, data={})]
    same = [msgspec.structs.replace(each, timestamp_ms=START) for each in readings]
    Writer(db).store([Arrival(each, is_late=False) for each in same], [], START)
    assert sorted(wide_values_in(db), key=str) == [{"t": 1.5}, {"t": 2.5}, {}]


def test_a_history_of_an_earlier_version_gets_the_views(tmp_path: Path) -> None:
    path = tmp_path / "history.db"
    with contextlib.closing(open_history(path)) as first:
        first.execute("DROP VIEW readings_wide")
        first.execute("DROP VIEW reading_values")
        first.execute("DROP TABLE arrived")
        first.execute("PRAGMA user_version = 2")
    with contextlib.closing(open_history(path)) as db:
        assert db.execute("SELECT count(*) FROM readings_wide").fetchone() == (0,)
