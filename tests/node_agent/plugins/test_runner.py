"""One plugin's lives: faults, restarts, reloads and commands, with a real component."""

import itertools
import math
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bus.config.settings import Grant
from bus.contract.description import PluginDescription
from bus.contract.messages import PluginState
from bus.contract.plugin_file import bundle
from node_agent.actuators.led_buffer import LedBuffer
from node_agent.host_functions.effects import EffectParts
from node_agent.plugins import grants
from node_agent.plugins.readings import Sample
from node_agent.plugins.runner import PluginRunner
from node_agent.plugins.sensor_owners import SensorOwners
from node_agent.plugins.store import PluginStore
from node_agent.plugins.thread import PluginParts
from node_agent.plugins.wit_imports import NodeParts, host_imports
from node_agent.sandbox.engine import TICK_S
from node_agent.sandbox.runtime import Runtime
from tests.node_agent.sandbox.test_instance import EVERYTHING, FakeHardware
from tests.support import WAIT_S

BEAT_S = 0.05


class WatchedStore(PluginStore):
    """A store that notes the mode which the guest has read last, early in each poll."""

    mode_read: str | None = None

    def get(self, key: str) -> str | None:
        value = super().get(key)
        if key == "mode":
            self.mode_read = value
        return value


class Bench:
    """A runner that is beaten as a cycle does, with a clock that a test may push ahead."""

    def __init__(
        self,
        runtime: Runtime,
        file: Path,
        directory: Path,
        grant: Grant = EVERYTHING,
        *,
        name: str = "mischief",
        owners: SensorOwners | None = None,
        is_enabled: bool = True,
    ) -> None:
        self._runtime = runtime
        self.ahead_s = 0.0
        self.states: list[PluginState] = []
        self.samples: list[Sample] = []
        self.darkened: list[int] = []
        self.store = WatchedStore(directory / "state.json")
        node = NodeParts(FakeHardware(), LedBuffer(8), None, None)
        parts = PluginParts(
            name=name,
            runtime=runtime,
            refuse=lambda interfaces: grants.missing(name, interfaces, grant),
            make_imports=partial(host_imports, name, grant, node, self.store),
            effects=EffectParts(name, grant, node.hardware),
            feed=lambda: "{}",
            on_samples=lambda samples, _described: self.samples.extend(samples),
            save_state=self.store.save,
            owners=owners or SensorOwners(),
            darken=lambda: self.darkened.append(len(self.states)),
        )
        self.runner = PluginRunner(parts, lambda: file, self.states.append, is_enabled=is_enabled)

    def mode(self, name: str) -> None:
        self.store.set("mode", name)

    def expire(self) -> None:
        """End every poll that is under way, as its deadline does when the time is over."""
        runtime = self._runtime
        for engine in runtime._engines.values():
            for _ in range(math.ceil(runtime.limits.deadline_s / TICK_S) + 2):
                engine.increment_epoch()

    @contextmanager
    def impatient(self) -> Iterator[None]:
        """Let the runner take a poll that is under way for one that hangs."""
        patient, self.runner._hangs = self.runner._hangs, lambda thread: thread.busy_s() > 0
        yield
        self.runner._hangs = patient

    def beat_until(self, done: Callable[[], Any]) -> None:
        pause = threading.Event()
        deadline_s = time.monotonic() + WAIT_S
        while not done():
            assert time.monotonic() < deadline_s, f"last state: {self.states[-1:]}"
            self.runner.run_cycle(time.monotonic() + self.ahead_s)
            self.runner.wait_idle(BEAT_S)
            pause.wait(BEAT_S)

    def state(self) -> PluginState:
        return self.states[-1] if self.states else PluginState("disabled", "", 0, 0)

    def is_running(self) -> bool:
        return self.state().state == "running" and bool(self.samples)


@pytest.fixture
def file(mischief_bundle: Path, tmp_path: Path) -> Path:
    """Return a copy that a test may change."""
    copy = tmp_path / mischief_bundle.name
    shutil.copy(mischief_bundle, copy)
    return copy


@pytest.fixture
def changed_file(mischief_bundle: Path) -> bytes:
    """Return another bundle of the same behaviour."""
    return changed(mischief_bundle)


@pytest.fixture
def bench(runtime: Runtime, file: Path, tmp_path: Path) -> Any:
    made = Bench(runtime, file, tmp_path)
    yield made
    made.runner.stop(WAIT_S)


def test_a_plugin_loads_and_polls_once_a_beat(bench: Bench) -> None:
    bench.beat_until(lambda: len(bench.samples) >= 3)
    assert [state.state for state in bench.states] == ["loading", "running"]
    assert len(bench.state().sha256) == 64
    assert [sample.data["polls"] for sample in bench.samples[:3]] == [1.0, 2.0, 3.0]


def test_a_failed_plugin_says_why_and_starts_afresh_after_its_back_off(bench: Bench) -> None:
    bench.beat_until(bench.is_running)
    bench.mode("fail")
    bench.beat_until(lambda: bench.state().state == "failed")
    assert bench.state().error.startswith("ValueError: the sensor is on fire (app.py:")
    bench.mode("count")
    bench.samples.clear()
    bench.ahead_s += 1.0
    bench.beat_until(bench.is_running)
    assert bench.samples[0].data == {"polls": 1.0}
    bench.beat_until(lambda: bench.state().error == "")
    assert bench.state().restarts == 1
    # The last failure can still be read, with its traceback.
    failure = bench.state().last_failure.splitlines()
    assert "Traceback" in failure[0]
    assert failure[-1] == "ValueError: the sensor is on fire"


def test_the_back_off_grows_while_a_plugin_keeps_failing(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    bench.mode("fail")
    for restarts in (1, 2, 3):
        bench.beat_until(lambda n=restarts: bench.state().restarts == n)
        bench.ahead_s += 2.0 ** (restarts - 1)
    waits = [r.args[2] for r in caplog.records if r.msg.startswith("plugin %s failed")]
    assert waits == [1.0, 2.0, 4.0]


def test_a_guest_that_hangs_in_the_host_is_left_behind(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, answered, get = threading.Event(), threading.Event(), bench.store.get

    def hang(key: str) -> str | None:
        asked.set()
        answered.wait(WAIT_S)
        return get(key)

    with monkeypatch.context() as patch:
        patch.setattr(bench.store, "get", hang)
        bench.beat_until(asked.is_set)
        with bench.impatient():
            bench.beat_until(lambda: bench.state().state == "failed")
    assert "hung in a host call" in bench.state().error
    bench.ahead_s += 1.0
    bench.beat_until(bench.is_running)
    answered.set()


def test_what_a_poll_returns_that_is_under_way_at_the_stop_still_counts(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, answered, get = threading.Event(), threading.Event(), bench.store.get

    def slowly(key: str) -> str | None:
        asked.set()
        answered.wait(WAIT_S)
        return get(key)

    monkeypatch.setattr(bench.store, "get", slowly)
    bench.beat_until(asked.is_set)
    bench.runner.stop()
    answered.set()
    bench.runner.stop(WAIT_S)
    assert len(bench.samples) == 1


def test_a_poll_without_a_reading_names_the_fault_and_keeps_the_plugin(bench: Bench) -> None:
    bench.beat_until(bench.is_running)
    bench.mode("complain")
    bench.beat_until(lambda: bench.state().error == "no answer from the sensor")
    assert bench.state().state == "running"
    bench.mode("count")
    bench.beat_until(lambda: bench.state().error == "")


def test_a_reading_that_no_topic_holds_is_a_fault_and_is_dropped(bench: Bench) -> None:
    bench.mode("bad_id")
    bench.beat_until(lambda: "sensor id 'a/b'" in bench.state().error)
    assert bench.samples == []


def test_an_import_that_no_grant_covers_is_refused_with_the_line_to_add(
    runtime: Runtime, file: Path, tmp_path: Path
) -> None:
    bench = Bench(runtime, file, tmp_path, Grant(leds=[1], buzzer=True, i2c=["0x77"], state=True))
    bench.beat_until(lambda: bench.state().state == "failed")
    bench.runner.stop(WAIT_S)
    assert bench.state().error == (
        "not granted: add spi = true, uart = true to [plugins.grants.mischief], "
        "since it imports spi, uart"
    )


def test_a_changed_file_takes_over_without_a_missed_poll(
    bench: Bench, file: Path, changed_file: bytes
) -> None:
    bench.beat_until(lambda: len(bench.samples) >= 3)
    before = bench.state()
    replace(file, changed_file)
    bench.beat_until(lambda: bench.state().sha256 != before.sha256)
    polls = [sample.data["polls"] for sample in bench.samples]
    taken_over = next(i for i, (a, b) in enumerate(itertools.pairwise(polls)) if b < a)
    # The old one counts up to the swap; the new one's trial, its first poll, is not counted twice.
    assert polls[: taken_over + 1] == [float(n + 1) for n in range(taken_over + 1)]
    assert polls[taken_over + 1] == 2.0
    assert bench.state().restarts == 0
    assert (before.version, bench.state().version) == ("", "2.0")


@pytest.mark.parametrize("content", [b"", b"not a bundle"])
def test_a_bad_file_leaves_the_old_one_running_and_says_why(
    bench: Bench, file: Path, content: bytes
) -> None:
    bench.beat_until(bench.is_running)
    before = bench.state()
    replace(file, content)
    bench.beat_until(lambda: bench.state().error.startswith("reload failed"))
    polled = len(bench.samples)
    bench.beat_until(lambda: len(bench.samples) > polled + 1)
    assert (bench.state().state, bench.state().sha256) == ("running", before.sha256)
    assert bench.state().last_failure


def test_a_new_version_has_no_failure_of_the_one_before(
    bench: Bench, file: Path, changed_file: bytes
) -> None:
    bench.beat_until(bench.is_running)
    before = bench.state()
    replace(file, b"not a bundle")
    bench.beat_until(lambda: bench.state().last_failure != "")
    replace(file, changed_file)
    bench.beat_until(lambda: bench.state().sha256 not in ("", before.sha256))
    assert bench.state().last_failure == ""


def test_a_plugin_can_be_disabled_and_enabled(bench: Bench) -> None:
    bench.beat_until(bench.is_running)
    bench.runner.command("disable")
    bench.beat_until(lambda: bench.state().state == "disabled")
    bench.samples.clear()
    bench.runner.command("enable")
    bench.beat_until(bench.is_running)


def test_reload_starts_the_same_file_afresh(bench: Bench) -> None:
    bench.beat_until(lambda: len(bench.samples) >= 3)
    before = len(bench.samples)
    bench.runner.command("reload")
    bench.beat_until(lambda: any(it.data["polls"] == 2.0 for it in bench.samples[before:]))
    assert math.isclose(bench.state().restarts, 0)


def test_a_reload_by_command_is_logged_as_one_and_a_changed_file_as_that(
    bench: Bench, file: Path, changed_file: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    bench.beat_until(lambda: len(bench.samples) >= 2)
    bench.runner.command("reload")
    bench.beat_until(lambda: "reloaded the same version" in caplog.text)
    assert "plugin mischief: reload by command; loading mischief.bundle" in caplog.text
    assert "changed" not in caplog.text
    replace(file, changed_file)
    bench.beat_until(lambda: "reloaded a new version" in caplog.text)
    assert "plugin mischief: the file changed; loading mischief.bundle" in caplog.text


def test_a_disabled_plugin_goes_dark_once_also_after_the_poll_that_was_under_way(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, answered, get = threading.Event(), threading.Event(), bench.store.get

    def slowly(key: str) -> str | None:
        asked.set()
        answered.wait(WAIT_S)
        return get(key)

    bench.beat_until(bench.is_running)
    monkeypatch.setattr(bench.store, "get", slowly)
    bench.beat_until(asked.is_set)
    bench.runner.command("disable")
    bench.beat_until(lambda: len(bench.darkened) >= 2)
    answered.set()
    bench.beat_until(lambda: not bench.runner.is_darkening)
    before = len(bench.darkened)
    for _ in range(3):
        bench.runner.run_cycle(time.monotonic())
    # A person may light the LEDs of a disabled plugin.
    assert len(bench.darkened) == before


def test_a_plugin_that_was_disabled_before_the_start_stays_so(
    runtime: Runtime, file: Path, tmp_path: Path
) -> None:
    bench = Bench(runtime, file, tmp_path, is_enabled=False)
    bench.beat_until(lambda: bench.state().state == "disabled" and bench.darkened)
    for _ in range(3):
        bench.runner.run_cycle(time.monotonic())
    assert [state.state for state in bench.states] == ["disabled"]
    assert bench.state().since_ms > 0
    bench.runner.command("enable")
    bench.beat_until(bench.is_running)
    bench.runner.stop(WAIT_S)


def test_what_a_plugin_keeps_is_on_the_disk_when_it_is_disabled_or_reloaded(
    bench: Bench, tmp_path: Path
) -> None:
    bench.beat_until(bench.is_running)
    for number, action in enumerate(("disable", "reload")):
        bench.store.set("kept", str(number))
        bench.runner.command("enable")
        bench.beat_until(bench.is_running)
        bench.runner.command(action)
        bench.beat_until(
            lambda n=number: PluginStore(tmp_path / "state.json").get("kept") == str(n)
        )


def test_another_plugins_sensor_id_is_refused_in_the_plugins_state(
    runtime: Runtime, file: Path, tmp_path: Path
) -> None:
    owners = SensorOwners(["first", "second"])
    with ExitStack() as stack:

        def started(name: str) -> Bench:
            made = Bench(runtime, file, tmp_path / name, name=name, owners=owners)
            stack.callback(made.runner.stop, WAIT_S)
            made.store.set("id", "room")
            made.mode("named")
            return made

        first, second = started("first"), started("second")
        # The second polls before the first has been loaded: its reading waits.
        second.beat_until(lambda: second.state().state == "running")
        first.beat_until(first.is_running)
        second.beat_until(lambda: "belongs to plugin first" in second.state().error)
        assert "readings of plugin second" in second.state().error
        assert second.samples == []


def changed(path: Path) -> bytes:
    """Return the same bundle as another version: other bytes, same behaviour."""
    _, _, said = bundle.read(path)
    return bundle.encode(
        msgspec.structs.replace(said, description=PluginDescription(version="2.0"))
    )


def replace(path: Path, content: bytes) -> None:
    partial = path.with_suffix(".new")
    partial.write_bytes(content)
    partial.replace(path)
