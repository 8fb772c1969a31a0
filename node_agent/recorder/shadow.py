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
from collections.abc import Callable
from functools import partial
from pathlib import Path

from bus.contract.messages import ShadowReport
from bus.errors import HarvesterError
from node_agent.recorder.answers import Answers
from node_agent.recorder.costs import CostMeter
from node_agent.recorder.events import Failed, Outcome, Returned, Step, events_of, to_plain
from node_agent.recorder.recorder import Steps
from node_agent.recorder.shadow_calls import EffectLog
from node_agent.recorder.shadow_results import ShadowResults, values_of
from node_agent.sandbox.bundles.loaded import LoadedPlugin, entry
from node_agent.sandbox.errors import PluginError
from node_agent.sandbox.instance import PluginInstance
from node_agent.sandbox.limits import Limits
from node_agent.sandbox.runtime import Runtime

logger = logging.getLogger(__name__)

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
        self.costs = CostMeter()
        self._results = ShadowResults(self.costs, obstacle)
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
        return self._results.report()

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
            self._results.loaded(loaded.sha256, loaded.description().version)
            answers, effects = Answers(), EffectLog()
            limits = self._runtime.limits_of(self._name)
            with _started(loaded, answers, effects, limits) as instance:
                interface, function = entry(loaded)
                while (taken := self._steps.get()) is not None:
                    step, earlier = taken
                    for before in earlier.kept if earlier is not None else []:
                        answers.remember(events_of(before))
                    answers.step(events_of(step), step.began_ms)
                    note = partial(self._results.note_calls, answers.unanswered, effects)
                    self._poll(instance, (interface, function), step, note)
        return True

    def _poll(
        self,
        instance: PluginInstance,
        function: tuple[str, str],
        step: Step,
        note_calls: Callable[[], None],
    ) -> None:
        arguments = [step.argument] if step.argument is not None else []
        began_s, failed = time.monotonic(), None
        outcome: Outcome
        try:
            outcome = Returned(to_plain(instance.call(*function, *arguments)))
        except PluginError as e:
            outcome, failed = Failed(str(e), e.traceback), e
        took_s = time.monotonic() - began_s
        is_bad = failed is not None or "err" in values_of(outcome)
        self._results.compare(step.outcome, outcome)
        note_calls()
        # Last, so that a report that counts this poll has the rest of it, too.
        self.costs.polled(took_s, instance.host_calls, failed=is_bad)
        if failed is not None:
            raise failed

    def _failed(self, error: str) -> None:
        logger.warning("plugin %s: its shadow run failed: %s", self._name, error)
        self._results.failed(error)

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


def _started(
    loaded: LoadedPlugin, answers: Answers, effects: EffectLog, limits: Limits
) -> PluginInstance:
    imports = effects.logged(answers.imports(loaded.imports))
    return PluginInstance(loaded, imports, limits, lambda _line: None, sources=answers)
