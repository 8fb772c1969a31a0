"""Alarms file: what is in it at the next start, and a disk that refuses."""

import asyncio
import stat
from pathlib import Path

import pytest

from bus.files import json_file
from hub_app.alarms.alarm_file import FILE_NAME, AlarmFile, Saved
from hub_app.alarms.engine import Engine
from hub_app.alarms.notices import Told
from hub_app.alarms.records import Record
from tests.hub_app.alarms.samples import NOW_MS, begun

ALARM = begun(Engine())
SAVED = Saved(
    [ALARM],
    {"pi4/too-warm--air": NOW_MS},
    {"pi4/too-warm--air": Told(NOW_MS, NOW_MS, is_sent=True)},
    [Record(ALARM, NOW_MS)],
)


async def write(file: AlarmFile) -> None:
    """Change the file and wait until it is written, while its task runs."""
    task = asyncio.create_task(file.run())
    file.snapshot = lambda: SAVED
    file.changed()
    try:
        await file.written()
    finally:
        task.cancel()


def test_what_was_written_is_there_at_the_next_start(tmp_path: Path) -> None:
    path = tmp_path / "state" / FILE_NAME

    async def run() -> None:
        assert AlarmFile(path).load() == Saved()
        await write(AlarmFile(path))
        assert AlarmFile(path).load() == SAVED

    asyncio.run(run())
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_nobody_waits_where_nothing_has_changed_or_there_is_no_file(tmp_path: Path) -> None:
    async def run() -> None:
        await AlarmFile(tmp_path / FILE_NAME).written()
        file = AlarmFile(None)
        file.changed()
        await file.written()
        assert await file.flush()

    asyncio.run(run())
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_refuses_is_a_fault_until_it_takes_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save = json_file.save
    is_full = True

    def failing(path: Path, value: object) -> None:
        if is_full:
            raise OSError(28, "No space left on device")
        save(path, value)

    monkeypatch.setattr(json_file, "save", failing)

    async def run() -> None:
        nonlocal is_full
        file = AlarmFile(tmp_path / FILE_NAME)
        file.changed()
        assert not await file.flush()
        assert "No space left on device" in file.fault.reason
        is_full = False
        assert await file.flush()
        assert not file.fault.reason

    asyncio.run(run())


def test_a_damaged_file_is_set_aside(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / FILE_NAME
    path.write_text('{"active": [{}]}')

    async def run() -> None:
        assert AlarmFile(path).load() == Saved()

    asyncio.run(run())
    assert "acknowledgements and mutes are lost" in caplog.text
    assert path.with_suffix(".damaged").exists()
