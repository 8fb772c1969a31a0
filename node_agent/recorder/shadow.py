"""Shadow run: another version of a plugin polls beside the one that runs, on what that recorded.

Each host call is answered from the record of the running version's same poll, or of an earlier one;
where neither has the call, as by a host that has nothing. Nothing it does has an effect, and it
waits for nothing.
"""

import contextlib
import logging
import queue
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from bus.clock import now_ms
from bus.contract.bounds import MAX_ERROR_CHARS
from bus.contract.messages import ShadowReport
from bus.errors import HarvesterError
from node_agent.recorder.answers import EFFECTS, Answers
from node_agent.recorder.costs import CostMeter
from node_agent.recorder.events import Failed, Outcome, Returned, Step, events_of, to_plain
from node_agent.recorder.recorder import Steps
from node_agent.sandbox.bundles.loaded import LoadedPlugin, entry
from node_agent.sandbox.errors import PluginError
from node_agent.sandbox.instance import Imports, PluginInstance
from node_agent.sandbox.limits import Limits
from node_agent.sandbox.runtime import Runtime

logger = logging.getLogger(__name__)

# In a report: values, and the newest lines of effects and of calls without an answer.
_MAX_VALUES = 64
_MAX_LINES = 10
_MAX_LINE_CHARS = 200
# A fresh instance after a failure, as a plugin's own would wait at most.
_AGAIN_S = 60.0


class Shadow:
    """A shadow run in a thread of its own. The cycle's thread starts, reads and stops it."""

    def __init__(
        self,
        name: str,
        runtime: Runtime,
        path: Path,
        refusal: Callable[[Path, LoadedPlugin], str],
        obstacle: str = "",
    ) -> None:
        """`refusal` returns the sentence that refuses what was loaded from the path, or nothing.

        `obstacle` says why no poll will come. A failed instance is followed by another after
        `again_s`.
        """
        self.path = path
        self._name = name
        self._runtime = runtime
        self._refusal = refusal
        self.again_s = _AGAIN_S
        # The crossing from the running version's thread; None ends this one.
        self._steps: queue.Queue[tuple[Step, Steps | None] | None] = queue.Queue(1)
        self._order = threading.Lock()
        # Whether the instance has seen no step yet.
        self._needs_earlier = True
        self._since_ms = now_ms()
        self._sha256 = self._version = ""
        self._error = obstacle
        self._differing = self._effects = self._unanswered = 0
        self._effect_lines: list[str] = []
        self._unanswered_lines: list[str] = []
        self._values: dict[str, tuple[Any, Any]] = {}
        self.costs = CostMeter()
        self._thread = threading.Thread(target=self._run, name=f"shadow-{name}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self, timeout_s: float = 0.0) -> None:
        """End after the present poll; wait up to `timeout_s` for that."""
        with self._order:
            # A step that waits makes place, unless the thread takes it just now.
            with contextlib.suppress(queue.Empty):
                self._steps.get_nowait()
            self._steps.put_nowait(None)
        if timeout_s:
            self._thread.join(timeout_s)

    def offer(self, step: Step, earlier: Callable[[], Steps]) -> None:
        """Take a poll of the running version, in its thread; one that comes too soon is left out.

        `earlier` returns the steps before it, which the first one of an instance needs.
        """
        if self._steps.full():
            return
        # Unpacking takes a while, for which the cycle's thread must not wait.
        before = earlier() if self._needs_earlier else None
        with self._order:
            if not self._steps.full():
                self._needs_earlier = self._needs_earlier and before is None
                self._steps.put_nowait((step, before))

    def report(self) -> ShadowReport:
        """Return what to tell."""
        cost = self.costs.cost()
        with self._order:
            return ShadowReport(
                sha256=self._sha256,
                version=self._version,
                since_ms=self._since_ms,
                polls=cost.polls,
                failures=cost.failures,
                differing=self._differing,
                error=self._error[:MAX_ERROR_CHARS],
                values=dict(list(self._values.items())[:_MAX_VALUES]),
                p50_ms=cost.p50_ms,
                p99_ms=cost.p99_ms,
                effects=self._effects,
                newest_effects=self._effect_lines[-_MAX_LINES:],
                unanswered=self._unanswered,
                newest_unanswered=self._unanswered_lines[-_MAX_LINES:],
            )

    # The thread runs these.

    def _run(self) -> None:
        while True:
            try:
                if self._play():
                    return
            except HarvesterError as e:
                self._failed(str(e))
            except Exception as e:
                logger.exception("plugin %s: the host failed in a shadow run", self._name)
                self._failed(f"the host failed: {e!r}")
            if self._wait_for_end(self.again_s):
                return
            self._needs_earlier = True

    def _play(self) -> bool:
        """Run one instance; return whether it is over. Raises PluginError where it failed."""
        with self._runtime.load(self.path) as loaded:
            if refused := self._refusal(self.path, loaded):
                raise PluginError(refused)
            with self._order:
                self._sha256, self._version = loaded.sha256, loaded.description().version
            answers, effects = Answers(), _Effects()
            limits = self._runtime.limits_of(self._name)
            with _started(loaded, answers, effects, limits) as instance:
                interface, function = entry(loaded)
                while (taken := self._steps.get()) is not None:
                    step, earlier = taken
                    for before in earlier.kept if earlier is not None else []:
                        answers.remember(events_of(before))
                    answers.step(events_of(step), step.began_ms)
                    try:
                        self._poll(instance, (interface, function), step)
                    finally:
                        self._note_calls(answers, effects)
        return True

    def _poll(self, instance: PluginInstance, function: tuple[str, str], step: Step) -> None:
        arguments = [step.argument] if step.argument is not None else []
        began_s, failed = time.monotonic(), None
        outcome: Outcome
        try:
            outcome = Returned(to_plain(instance.call(*function, *arguments)))
        except PluginError as e:
            outcome, failed = Failed(str(e), e.traceback), e
        took_s = time.monotonic() - began_s
        is_bad = failed is not None or "err" in values_of(outcome)
        self.costs.polled(took_s, instance.host_calls, failed=is_bad)
        self._compare(step.outcome, outcome)
        if failed is not None:
            raise failed

    def _compare(self, running: Outcome | None, shadow: Outcome) -> None:
        theirs, ours = values_of(running), values_of(shadow)
        names = [*theirs, *(name for name in ours if name not in theirs)]
        with self._order:
            self._error = str(ours.get("err", ""))
            self._values = {name: (theirs.get(name), ours.get(name)) for name in names}
            self._differing += any(old != new for old, new in self._values.values())

    def _note_calls(self, answers: Answers, effects: "_Effects") -> None:
        missing = [call for call in answers.unanswered if call.interface not in EFFECTS]
        with self._order:
            self._effects += len(effects.lines)
            self._effect_lines = [*self._effect_lines, *effects.lines][-_MAX_LINES:]
            self._unanswered += len(missing)
            lines = [line_of(call.interface, call.function, call.arguments) for call in missing]
            self._unanswered_lines = [*self._unanswered_lines, *lines][-_MAX_LINES:]
        effects.lines.clear()

    def _failed(self, error: str) -> None:
        logger.warning("plugin %s: its shadow run failed: %s", self._name, error)
        with self._order:
            self._error = error

    def _wait_for_end(self, timeout_s: float) -> bool:
        """Let steps pass for a while; return whether the run is over."""
        until_s = time.monotonic() + timeout_s
        while (left_s := until_s - time.monotonic()) > 0:
            try:
                if self._steps.get(timeout=left_s) is None:
                    return True
            except queue.Empty:
                break
        return False


class _Effects:
    """Log of the calls that would have had an effect."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def logged(self, imports: Imports) -> Imports:
        return {
            interface: {
                name: self._called(interface, name, function)
                if interface in EFFECTS and not name.startswith("get-")
                else function
                for name, function in functions.items()
            }
            for interface, functions in imports.items()
        }

    def _called(self, interface: str, name: str, function: Callable[..., Any]) -> Any:
        def called(*arguments: Any) -> Any:
            self.lines.append(line_of(interface, name, arguments))
            return function(*arguments)

        return called


def _started(
    loaded: LoadedPlugin, answers: Answers, effects: _Effects, limits: Limits
) -> PluginInstance:
    imports = effects.logged(answers.imports(loaded.imports))
    return PluginInstance(loaded, imports, limits, lambda _line: None, sources=answers)


def line_of(interface: str, function: str, arguments: Any) -> str:
    """Return for example `led_controller.set_led(4, 0, 255, 0)`."""
    name = f"{interface}.{function}".replace("-", "_")
    return f"{name}({', '.join(map(repr, arguments))})"[:_MAX_LINE_CHARS]


def values_of(outcome: Outcome | None) -> Mapping[str, Any]:
    """Return the values of a poll by sensor and field; `fault` or `err` where it has none."""
    if isinstance(outcome, Failed):
        return {"fault": outcome.message[:_MAX_LINE_CHARS]}
    value = outcome.value if outcome is not None else None
    if isinstance(value, str):
        return {"err": value[:_MAX_LINE_CHARS]}
    records = value if isinstance(value, list) else [value] if value is not None else []
    found: dict[str, Any] = {}
    for record in records:
        sensor = record.get("sensor-id", "")
        fields = {**record, **dict(record.get("values", []))}
        for name, field in fields.items():
            if name not in ("sensor-id", "timestamp-ms", "values"):
                found[f"{sensor} {name.replace('-', '_')}".strip()] = _sendable(field)
    return found


def _sendable(value: Any) -> Any:
    """Return a value as a message can hold it: NaN was not measured."""
    if isinstance(value, float) and value - value != 0:
        return None
    return value[:_MAX_LINE_CHARS] if isinstance(value, str) else value
