"""Shadow runs in the sandbox, on polls that another version recorded."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from bus.contract.messages import ShadowReport
from node_agent.recorder.events import Failed, Returned
from node_agent.recorder.instance import RecordedInstance
from node_agent.recorder.recorder import Recorder
from node_agent.recorder.shadow import Shadow
from node_agent.recorder.shadow_results import values_of
from node_agent.sandbox.instance import Err
from node_agent.sandbox.limits import Limits
from node_agent.sandbox.runtime import Runtime
from node_agent.sandbox.wasi.sources import LiveSources
from tests.built_components import packed
from tests.node_agent.recorder.test_playback import GPIO, made
from tests.support import PATIENT_S, PROJECT, WAIT_S, wait_until

AGAIN_S = 0.1
LIMITS = Limits(PATIENT_S, load_deadline_s=PATIENT_S)
IMPORTS = ("i2c", "gpio-provider", "led-controller")
# It reads its calibration once.
RUNNING = """
if self.polls == 1:
    self.factor = int(i2c.transfer(0x23, "ca", 1), 16)
led_controller.set_led(4, 0, 0, 0)
raw = i2c.transfer(0x23, "", 1)
return [Reading("light", 7, [("lux", self.factor * int(raw, 16))])]
"""


@pytest.fixture(scope="module", autouse=True)
def runtime_is_built() -> None:
    packed(PROJECT / "tests" / "components")


def source(body: str) -> bytes:
    return made("from wit_world.imports import led_controller\n" + body.strip(), IMPORTS)


class Pair:
    """A running version with its chip, and another one in its shadow."""

    def __init__(self, running: RecordedInstance, recorder: Recorder, shadow: Shadow) -> None:
        self._running, self._recorder, self._shadow = running, recorder, shadow

    def poll(self, *, seen: bool = True) -> ShadowReport:
        """Poll the running version; return the report after the shadow has seen it."""
        self._running.call("sensor-logic", "poll")
        polls = self._shadow.report().polls
        if seen:
            self._shadow.offer(self._running.last_step, self._recorder.steps)
            wait_until(lambda: self._shadow.report().polls > polls)
        return self._shadow.report()

    def report(self) -> ShadowReport:
        return self._shadow.report()

    def poll_until(self, polls: int) -> ShadowReport:
        """Poll the running version until the shadow has seen so many polls."""

        def is_enough() -> bool:
            self._running.call("sensor-logic", "poll")
            self._shadow.offer(self._running.last_step, self._recorder.steps)
            return self._shadow.report().polls >= polls

        wait_until(is_enough)
        return self._shadow.report()


@contextmanager
def running(runtime: Runtime, folder: Path, shadow_body: str) -> Iterator[Pair]:
    files = {"running": RUNNING, "shadow": shadow_body}
    for name, body in files.items():
        (folder / f"{name}.bundle").write_bytes(source(body))
    answers: dict[str, Any] = {"ca": "0a", "": "03"}
    imports = {
        "i2c": {"transfer": lambda _at, write, _read: answers.get(write, Err("no answer"))},
        "gpio-provider": dict.fromkeys(GPIO, lambda *_: 7),
        "led-controller": dict.fromkeys(
            ("set-led", "set-all", "set-two", "clear", "sync-leds"), lambda *_: None
        ),
    }
    recorder = Recorder(1 << 18)
    shadow = Shadow("light", runtime, folder / "shadow.bundle", lambda _path, _loaded: "")
    shadow.again_s = AGAIN_S
    with runtime.load(folder / "running.bundle") as loaded:
        instance = RecordedInstance(
            *(loaded, imports, LIMITS, lambda _line: None),
            sources=LiveSources(),
            recorder=recorder,
        )
        with instance:
            shadow.start()
            try:
                yield Pair(instance, recorder, shadow)
            finally:
                shadow.stop(WAIT_S)


def test_a_shadow_gets_the_answers_of_the_running_version(runtime: Runtime, tmp_path: Path) -> None:
    other = RUNNING.replace("self.factor *", "1 + self.factor *")
    with running(runtime, tmp_path, other) as pair:
        found = pair.poll()
    assert found.values == {"light lux": (30.0, 31.0)}
    assert (found.polls, found.differing, found.failures, found.unanswered) == (1, 1, 0, 0)


def test_a_shadow_that_comes_later_gets_the_answers_of_the_first_poll(
    runtime: Runtime, tmp_path: Path
) -> None:
    with running(runtime, tmp_path, RUNNING) as pair:
        pair.poll(seen=False)
        pair.poll(seen=False)
        found = pair.poll()
    assert found.values == {"light lux": (30.0, 30.0)}
    assert (found.differing, found.unanswered) == (0, 0)


def test_a_shadow_that_failed_gets_the_answers_of_the_first_poll_again(
    runtime: Runtime, tmp_path: Path
) -> None:
    failing = f"if self.polls == 2: raise ValueError('the second')\n{RUNNING.strip()}"
    with running(runtime, tmp_path, failing) as pair:
        pair.poll(seen=False)
        found = pair.poll_until(3)
    assert found.failures
    assert found.unanswered == 0


def test_calls_without_an_answer_are_told_also_of_a_poll_that_fails(
    runtime: Runtime, tmp_path: Path
) -> None:
    other = 'i2c.transfer(0x23, "ff", 1)\nraise ValueError("no chip")'
    with running(runtime, tmp_path, other) as pair:
        pair.poll()
        wait_until(lambda: pair.report().unanswered)
    assert pair.report().newest_unanswered == ["i2c.transfer(35, 'ff', 1)"]


def test_effects_are_told_and_other_calls_have_no_answer(runtime: Runtime, tmp_path: Path) -> None:
    other = 'led_controller.set_led(4, 255, 0, 0)\nreturn str(i2c.transfer(0x23, "ff", 1))'
    with running(runtime, tmp_path, other) as pair:
        found = pair.poll()
    assert found.newest_effects == ["led_controller.set_led(4, 255, 0, 0)"]
    assert found.newest_unanswered == ["i2c.transfer(35, 'ff', 1)"]
    assert found.values["err"] == (None, "i2c.transfer: the record has no answer to this call")
    assert (found.failures, found.differing) == (1, 1)


def test_the_values_of_a_poll_are_by_sensor_and_field() -> None:
    reading = {"sensor-id": "a", "timestamp-ms": 1, "values": [["one", 1.0], ["two", float("nan")]]}
    assert values_of(Returned([reading])) == {"a one": 1.0, "a two": None}
    stats = {"cpu-temp": 48.5, "timestamp-ms": 1}
    assert values_of(Returned(stats)) == {"cpu_temp": 48.5}
    assert values_of(Returned(None)) == {}
    assert values_of(Failed("why", "")) == {"fault": "why"}
    assert values_of(None) == {}
