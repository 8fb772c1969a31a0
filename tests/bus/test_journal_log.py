"""Priorities in front of log lines, where standard error is the journal."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from bus.journal_log import priority

PROGRAM = """
import logging, os, sys
from bus import journal_log
journal_log.set_up("DEBUG", sys.stderr, os.environ)
logger = logging.getLogger("fan")
logger.debug("turns")
logger.info("turns")
logger.warning("turns\\nslowly")
try:
    raise ZeroDivisionError("no turn")
except ZeroDivisionError:
    logger.exception("stuck")
logger.critical("on fire")
journal_log.print_error("not started")
"""


def written(tmp_path: Path, *, names_journal: bool) -> list[str]:
    """Return what a program writes to a file, which `$JOURNAL_STREAM` names or does not."""
    path = tmp_path / "stderr"
    with path.open("wb") as stderr:
        status = os.fstat(stderr.fileno())
        inode = status.st_ino if names_journal else status.st_ino + 1
        environment = {**os.environ, "JOURNAL_STREAM": f"{status.st_dev}:{inode}"}
        subprocess.run([sys.executable, "-c", PROGRAM], stderr=stderr, env=environment, check=True)
    return path.read_text().splitlines()


def test_every_line_to_the_journal_has_its_priority(tmp_path: Path) -> None:
    lines = written(tmp_path, names_journal=True)
    assert lines[:5] == [
        "<7>DEBUG fan: turns",
        "<6>INFO fan: turns",
        "<4>WARNING fan: turns",
        "<4>slowly",
        "<3>ERROR fan: stuck",
    ]
    assert lines[-2:] == ["<2>CRITICAL fan: on fire", "<3>not started"]


def test_each_line_of_a_traceback_is_an_error(tmp_path: Path) -> None:
    traceback = written(tmp_path, names_journal=True)[5:-2]
    assert traceback[0] == "<3>Traceback (most recent call last):"
    assert traceback[-1] == "<3>ZeroDivisionError: no turn"
    assert all(line.startswith("<3>") for line in traceback)


def test_standard_error_that_is_redirected_has_no_priorities(tmp_path: Path) -> None:
    assert not any(line.startswith("<") for line in written(tmp_path, names_journal=False))


@pytest.mark.parametrize(("level", "expected"), [(0, 7), (15, 7), (25, 6), (35, 4), (60, 2)])
def test_a_level_of_ones_own_has_the_priority_of_the_next_lower_one(
    level: int, expected: int
) -> None:
    assert priority(level) == expected


def test_a_crash_says_where_each_thread_was() -> None:
    program = f"{PROGRAM}\nimport faulthandler\nfaulthandler._sigsegv()\n"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert done.returncode == -signal.SIGSEGV
    told = done.stderr.partition("not started\n")[2]
    assert told.startswith("Fatal Python error: Segmentation fault")
    assert 'File "<string>", line ' in told
