import contextlib
import csv
import io
import sqlite3
from pathlib import Path

import pytest

from harvester import cli
from hub_app.history.schema import open_history
from hub_app.history.writer import Arrival, Writer
from tests.hub_app.history.samples import START, fill, reading


@pytest.fixture
def state(tmp_path: Path) -> Path:
    with contextlib.closing(open_history(tmp_path / "history.db")) as db:
        fill(db, 0, 100)
    return tmp_path


def export(state: Path, *arguments: str) -> None:
    settings = ("--config", "/dev/null", "--set", "cluster.role=hub")
    cli.main(["history", "export", *settings, "--set", f"storage.state_dir={state}", *arguments])


def test_every_value_of_a_range_is_in_the_table(
    state: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    span = ("--from", str(START + 20_000), "--to", "2100-01-01")
    export(state, "-", "--sensor", "pi4:room", "--field", "t", *span)
    rows = list(csv.DictReader(io.StringIO(capfdbinary.readouterr().out.decode())))
    assert [(int(row["timestamp_ms"]), float(row["value"])) for row in rows] == [
        (START + n * 2000, float(n)) for n in range(10, 100)
    ]


def test_a_sqlite_file_has_values_and_a_view_with_a_column_for_each_field(state: Path) -> None:
    export(state, str(state / "out.db"), "--format", "sqlite")
    with contextlib.closing(sqlite3.connect(state / "out.db")) as db:
        assert db.execute("SELECT count(*) FROM reading_values").fetchone() == (200,)
        assert db.execute('SELECT timestamp_ms, t, up FROM "pi4:room" LIMIT 2').fetchall() == [
            *((START, 0.0, 1.0), (START + 2000, 1.0, 1.0)),
        ]


def test_a_view_of_a_sqlite_file_has_a_row_for_each_reading_of_one_moment(tmp_path: Path) -> None:
    with contextlib.closing(open_history(tmp_path / "history.db")) as db:
        same = [reading(n, START, data={"t": float(n), "u": -float(n)}) for n in range(3)]
        Writer(db).store([Arrival(each, False) for each in same], [], START)
    export(tmp_path, str(tmp_path / "out.db"), "--format", "sqlite", "--to", "2100-01-01")
    with contextlib.closing(sqlite3.connect(tmp_path / "out.db")) as db:
        rows = db.execute('SELECT timestamp_ms, t, u FROM "pi4:room" ORDER BY t').fetchall()
    assert rows == [(START, float(n), -float(n)) for n in range(3)]


def test_a_parquet_file_has_the_same_values(state: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    export(state, str(state / "out.parquet"), "--format", "parquet")
    rows = parquet.read_table(state / "out.parquet").to_pylist()
    assert len(rows) == 200
    assert {row["value"] for row in rows if row["field"] == "up"} == {1.0}


@pytest.mark.parametrize(
    ("form", "true"), [("csv", ",1.0,"), ("json", ":1.0,"), ("influx", "=1.0 ")]
)
def test_true_is_1_in_every_format(
    state: Path, capfdbinary: pytest.CaptureFixture[bytes], form: str, true: str
) -> None:
    export(state, "-", "--format", form, "--field", "up")
    lines = capfdbinary.readouterr().out.decode().splitlines()
    assert sum(true in line for line in lines) == 100


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("-", "--sensor", "pi4:attic"), "pi4:room"),
        (("-", "--field", "lux"), "expected one of t, "),
        (("-", "--format", "sqlite"), "expected the name of a new file"),
        (("/nowhere/out.csv",), "expected a writable file"),
        (("-", "--from", "9" * 20), "expected 2026-11-22T18:45:21Z or Unix milliseconds"),
        (("-", "--from", "2026-12-01", "--to", "2026-11-01"), "--from: found a time that is not"),
    ],
)
def test_a_wrong_argument_gets_a_sentence(
    state: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], expected: str
) -> None:
    with pytest.raises(SystemExit) as stopped:
        export(state, *arguments)
    assert stopped.value.code == 2
    assert expected in capsys.readouterr().err
