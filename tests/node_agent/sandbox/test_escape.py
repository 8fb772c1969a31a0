"""What lies outside the sandbox, and that a component which tries for it gets nothing."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bus.config.settings import Grant
from node_agent.actuators.led_buffer import LedBuffer
from node_agent.plugins.readings import samples
from node_agent.plugins.store import PluginStore
from node_agent.plugins.wit_imports import NodeParts, host_imports
from node_agent.sandbox.component import LoadedComponent
from node_agent.sandbox.instance import PluginInstance
from node_agent.sandbox.limits import Limits
from node_agent.sandbox.runtime import Runtime
from tests.built_components import packed
from tests.node_agent.sandbox.test_instance import FakeHardware
from tests.support import PATIENT_S, PROJECT

# Each attempt with what Python says when it fails.
ATTEMPTS = {
    "read_a_file": "FileNotFoundError",
    "write_a_file": "FileNotFoundError",
    "list_a_directory": "FileNotFoundError",
    "look_above": "FileNotFoundError",
    "connect": "gaierror",
    "send_a_datagram": "PermissionError",
    "look_up_a_name": "gaierror",
    "ask_the_web": "gaierror",
    "run_a_program": "OSError: [Errno 58] wasi does not support processes",
    "fork": "AttributeError",
    "replace_the_process": "AttributeError",
    "kill_the_parent": "AttributeError",
    "start_a_thread": "RuntimeError: can't start new thread",
}


@pytest.fixture(scope="module")
def intruder(runtime: Runtime) -> Iterator[LoadedComponent]:
    with runtime.load(packed(PROJECT / "tests" / "components")["intruder"]) as loaded:
        yield loaded


class Attempt:
    """A fresh intruder after one attempt: the values it came back with, and what it printed."""

    def __init__(self, loaded: LoadedComponent, name: str, directory: Path) -> None:
        self.lines: list[str] = []
        store = PluginStore(directory / "intruder.json")
        store.set("attempt", name)
        parts = NodeParts(FakeHardware(), LedBuffer(0), None, None)
        imports = host_imports("intruder", Grant(state=True), parts, store)
        with PluginInstance(loaded, imports, Limits(PATIENT_S), self.lines.append) as instance:
            polled = instance.call("sensor-logic", "poll")
        self.values: dict[str, Any] = dict(samples(polled, "intruder")[0].data)


@pytest.mark.parametrize("name", ATTEMPTS)
def test_what_lies_outside_is_out_of_reach(
    intruder: LoadedComponent, tmp_path: Path, name: str
) -> None:
    attempt = Attempt(intruder, name, tmp_path)
    assert attempt.values == {"succeeded": 0.0}
    assert attempt.lines[0].startswith(f"{name}: {ATTEMPTS[name]}")


def test_the_environment_is_empty(
    intruder: LoadedComponent, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET", "x")
    assert Attempt(intruder, "environment", tmp_path).values == {"variables": 0.0}


def test_time_is_told_because_sleeping_needs_it(intruder: LoadedComponent, tmp_path: Path) -> None:
    """WASI has no clock without the time of day, and `get-timestamp-ms` gives that anyway."""
    before_s = time.time()
    values = Attempt(intruder, "clocks", tmp_path).values
    assert before_s <= values["wall_s"] <= time.time()
    assert values["slept_s"] >= 0.05


def test_chance_differs_from_guest_to_guest(intruder: LoadedComponent, tmp_path: Path) -> None:
    first, second = (Attempt(intruder, "chance", tmp_path).values for _ in range(2))
    assert len({*first.values(), *second.values()}) == 4
