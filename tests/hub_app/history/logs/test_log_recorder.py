"""Recorder of log lines: restart, a file that fails, bounds of the queue."""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from hub_app.history.logs import log_recorder
from hub_app.history.logs.log_file import FILE_NAME, LogFile, LogQuery, read
from hub_app.history.logs.log_recorder import LogRecorder
from tests.hub_app.samples import NOW_MS, log
from tests.support import WAIT_S, wait_until


def put(recorder: LogRecorder, message: str, node: str = "pi4") -> None:
    recorder.put(node, log(message), NOW_MS)


@contextmanager
def running(path: Path) -> Iterator[LogRecorder]:
    recorder = LogRecorder(path, now_ms=lambda: NOW_MS, commit_s=0.01)
    recorder.start()
    try:
        yield recorder
    finally:
        recorder.stop()


def messages(path: Path) -> list[str]:
    return [line.message for line in read(path, LogQuery(100))]


def test_lines_are_there_after_a_restart(tmp_path: Path) -> None:
    path = tmp_path / FILE_NAME
    for run in ("first", "second"):
        with running(path) as recorder:
            put(recorder, run)
    assert messages(path) == ["first", "second"]


def test_a_flush_brings_lines_to_the_file_at_once(tmp_path: Path) -> None:
    path = tmp_path / FILE_NAME
    recorder = LogRecorder(path, now_ms=lambda: NOW_MS, commit_s=3600)
    recorder.start()
    put(recorder, "now")
    recorder.flush(60)
    assert messages(path) == ["now"]
    recorder.flush(60)
    recorder.stop()


def test_lines_wait_while_the_file_cannot_be_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / FILE_NAME
    add = LogFile.add
    is_full = True

    def failing(file: LogFile, lines: object) -> None:
        if is_full:
            raise sqlite3.OperationalError("database or disk is full")
        add(file, lines)

    monkeypatch.setattr(LogFile, "add", failing)
    monkeypatch.setattr(log_recorder, "_REOPEN_S", 0.01)
    with running(path) as recorder:
        put(recorder, "one")
        wait_until(lambda: "disk is full" in recorder.statistics.fault)
        put(recorder, "two")
        is_full = False
        wait_until(lambda: recorder.statistics.stored == 2)
        wait_until(lambda: not recorder.statistics.fault)
    assert messages(path) == ["one", "two"]


def test_of_too_many_lines_the_oldest_are_dropped_and_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_recorder, "MAX_QUEUED", 2)
    recorder = LogRecorder(tmp_path / FILE_NAME, now_ms=lambda: NOW_MS)
    for i in range(5):
        put(recorder, str(i))
    assert recorder.statistics.dropped == 3
    recorder.start()
    recorder.stop()
    assert messages(tmp_path / FILE_NAME) == ["3", "4"]


def test_a_removed_nodes_lines_are_deleted(tmp_path: Path) -> None:
    path = tmp_path / FILE_NAME
    with running(path) as recorder:
        put(recorder, "one")
        put(recorder, "two", "pi5")
        wait_until(lambda: len(messages(path)) == 2)
        recorder.forget("pi4")
        wait_until(lambda: messages(path) == ["two"])


def test_a_removed_nodes_lines_are_deleted_although_that_failed_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / FILE_NAME
    with running(path) as recorder:
        put(recorder, "old")
    forget = LogFile.forget
    has_failed = threading.Event()

    def failing(file: LogFile, node: str) -> None:
        if not has_failed.is_set():
            has_failed.set()
            raise sqlite3.OperationalError("database or disk is full")
        forget(file, node)

    monkeypatch.setattr(LogFile, "forget", failing)
    monkeypatch.setattr(log_recorder, "_REOPEN_S", 0.01)
    with running(path) as recorder:
        recorder.forget("pi4")
        assert has_failed.wait(WAIT_S)
        put(recorder, "other", "pi5")
    assert messages(path) == ["other"]
