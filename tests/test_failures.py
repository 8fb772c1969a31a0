"""A failed test tells of its processes and of what was heard."""

import signal
from pathlib import Path

import pytest

from bus.contract.topics import Topic, TopicKind
from tests import failures
from tests.support import WAIT_S, Service


def test_a_process_that_ended_is_told_before_those_that_run(tmp_path: Path) -> None:
    with (
        Service("http.server", ["--bind", "127.0.0.1", "0"], tmp_path / "running") as running,
        Service("tests.no_such_program", [], tmp_path / "ended") as ended,
    ):
        assert ended.process.wait(WAIT_S) == 1
        # Processes of other tests may be among them.
        told = list(failures.report())
        heads = [text.partition(";")[0] for text in told]
        at = heads.index(f"tests.no_such_program, process {ended.process.pid}, has ended with 1")
        assert "No module named tests.no_such_program" in told[at]
        assert at < heads.index(f"http.server, process {running.process.pid}, runs")
        assert all(" has ended " in head for head in heads[:at])
    assert not [text for text in failures.report() if "no_such_program" in text]


def test_a_process_that_a_failure_ends_is_told_as_it_was(tmp_path: Path) -> None:
    with (
        pytest.raises(ZeroDivisionError),
        Service("http.server", ["--bind", "127.0.0.1", "0"], tmp_path / "log") as running,
    ):
        crash(running)
    assert "has ended by SIGSEGV;" in next(failures.report())
    failures.begin()
    assert not [text for text in failures.report() if "http.server" in text]


def crash(service: Service) -> None:
    service.process.send_signal(signal.SIGSEGV)
    service.process.wait(WAIT_S)
    raise ZeroDivisionError


def test_what_was_heard_is_counted_and_the_last_of_a_node_shown() -> None:
    reading = Topic("pi4", TopicKind.READING, "dht22")
    heard = [(reading, b"%d" % number) for number in range(9)]
    heard += [(Topic("far", TopicKind.LOG), b"long" * 1000), (reading, b"last")]
    assert failures.summary(heard, "far").splitlines() == [
        "11 messages were heard:",
        "  far: 1 log",
        "  pi4: 10 reading",
        "the last messages of far:",
        f"  harvester/far/logs {'long' * 70}l ... (4019 characters)",
    ]
    assert failures.summary(heard).splitlines()[-2:] == [
        f"  harvester/far/logs {'long' * 70}l ... (4019 characters)",
        "  harvester/pi4/readings/dht22 last",
    ]
    assert failures.summary(heard, "near").splitlines()[-2:] == [
        "the last messages of near:",
        "  none",
    ]
