"""A guest's waits last as long as it asks, and end at the deadline of the call."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from node_agent.plugins.readings import samples
from node_agent.sandbox.bundles.loaded import LoadedPlugin
from node_agent.sandbox.errors import PluginError, PluginTimeoutError
from node_agent.sandbox.instance import PluginInstance
from node_agent.sandbox.limits import Limits
from node_agent.sandbox.runtime import Runtime
from tests.built_components import packed
from tests.node_agent import source_bundle
from tests.support import PATIENT_S, PROJECT

SLEEPER = PROJECT / "tests" / "components" / "by-hand" / "sleeper.wat"
# A guest whose thread starves must come to its wait before.
DEADLINE_S = 3.0
NAP_S = 0.05
SOURCE = f"""
import queue
import select
import threading
import time

from wit_world import exports
from wit_world.exports.sensor_logic import Reading
from wit_world.imports import gpio_provider


def took(wait) -> float:
    began_s = time.monotonic()
    wait()
    return time.monotonic() - began_s


def got(waiting) -> None:
    try:
        waiting.get(timeout={NAP_S})
    except queue.Empty:
        pass


class SensorLogic(exports.SensorLogic):
    def poll(self) -> list[Reading]:
        for _ in range(5000):
            time.sleep(0)
        waits = {{
            "slept": lambda: time.sleep({NAP_S}),
            "selected": lambda: select.select([], [], [], {NAP_S}),
            "event": lambda: threading.Event().wait({NAP_S}),
            "semaphore": lambda: threading.Semaphore(0).acquire(timeout={NAP_S}),
            "queue": lambda: got(queue.Queue()),
            "simple": lambda: got(queue.SimpleQueue()),
        }}
        values = [(name, took(wait)) for name, wait in waits.items()]
        return [Reading("waits", gpio_provider.get_timestamp_ms(), values)]
"""


@pytest.fixture(scope="module")
def by_hand(runtime: Runtime, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LoadedPlugin]:
    wasm = tmp_path_factory.mktemp("sleeper") / "sleeper.wasm"
    wasm.write_bytes(SLEEPER.read_bytes())
    with runtime.load(wasm) as loaded:
        yield loaded


@pytest.mark.parametrize(
    ("interface", "call", "arguments"),
    [("sensor-logic", "poll", ()), ("oled-logic", "update", ("{}",))],
    ids=["poll", "block"],
)
def test_a_wait_through_wasi_itself_ends_at_the_deadline(
    by_hand: LoadedPlugin, interface: str, call: str, arguments: Any
) -> None:
    with (
        PluginInstance(by_hand, {}, Limits(DEADLINE_S), print) as instance,
        pytest.raises(PluginTimeoutError, match=r"^took longer than its deadline of 3 s, asleep$"),
    ):
        instance.call(interface, call, *arguments)


def test_a_wait_is_as_long_as_python_asks_for(runtime: Runtime, tmp_path: Path) -> None:
    found = polled(runtime, tmp_path, SOURCE, Limits(PATIENT_S))
    (sample,) = samples(found, "waits")
    assert sample.data.keys() == {"slept", "selected", "event", "semaphore", "queue", "simple"}
    assert [name for name, took_s in sample.data.items() if took_s < NAP_S] == []


@pytest.mark.parametrize("wait", ["threading.Event().wait()", "queue.Queue().get()"])
def test_a_wait_for_what_nobody_can_send_ends_at_the_deadline(
    runtime: Runtime, tmp_path: Path, wait: str
) -> None:
    source = SOURCE.replace("        for _", f"        {wait}\n        for _")
    with pytest.raises(PluginTimeoutError, match=r"^took longer than its deadline of 3 s, asleep$"):
        polled(runtime, tmp_path, source, Limits(DEADLINE_S, load_deadline_s=PATIENT_S))


def test_a_bundle_that_sleeps_while_it_is_loaded_ends_at_its_deadline(
    runtime: Runtime, tmp_path: Path
) -> None:
    limits = Limits(PATIENT_S, load_deadline_s=2.0)
    began_s = time.monotonic()
    with pytest.raises(PluginError, match="took longer than its deadline of 2 s"):
        polled(runtime, tmp_path, f"import time\ntime.sleep(3600)\n{SOURCE}", limits)
    assert time.monotonic() - began_s >= limits.load_deadline_s


def polled(runtime: Runtime, directory: Path, source: str, limits: Limits) -> Any:
    packed(PROJECT / "tests" / "components")
    file = directory / "waits.bundle"
    file.write_bytes(source_bundle.encoded(source, ["gpio-provider"]))
    with runtime.load(file) as loaded:
        imports = {"gpio-provider": dict.fromkeys(loaded.imports["gpio-provider"], lambda: 7)}
        with PluginInstance(loaded, imports, limits, print) as instance:
            return instance.call("sensor-logic", "poll")
