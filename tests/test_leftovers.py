"""A test run that is interrupted or killed leaves no process behind."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests import leftovers
from tests.support import PROJECT, WAIT_S

ENDLESS = """
import os, signal, subprocess, time
from pathlib import Path
from tests import leftovers

def pytest_configure(config):
    # A shell's background job ignores it, and so would this.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    leftovers.watch()

def test_that_never_ends():
    child = subprocess.Popen(["sleep", "1000"], start_new_session=True)
    run = os.environ[leftovers.VARIABLE]
    Path("started.part").write_text(f"{run} {child.pid}")
    Path("started.part").rename("started")
    time.sleep(1000)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_whatever_ends_the_run_ends_its_processes(
    number: signal.Signals, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(leftovers.VARIABLE)
    (tmp_path / "test_endless.py").write_text(ENDLESS)
    (tmp_path / "conftest.py").write_text(ENDLESS.partition("def test_")[0])
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    monkeypatch.setenv("PYTHONPATH", str(PROJECT))
    command = [sys.executable, "-m", "pytest", "-q", "test_endless.py"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL) as pytest_run:
        run, child = wait_for_text(tmp_path / "started").split()
        assert int(child) in leftovers.members(run)
        pytest_run.send_signal(number)
    deadline_s = time.monotonic() + WAIT_S
    while left := list(leftovers.members(run)):
        assert time.monotonic() < deadline_s, left
        time.sleep(0.05)


def wait_for_text(path: Path) -> str:
    deadline_s = time.monotonic() + WAIT_S
    while not path.exists():
        assert time.monotonic() < deadline_s, f"{path} did not appear"
        time.sleep(0.05)
    return path.read_text()
