"""Keeps one plugin alive: restarts after faults, reloads when its file changed, its state message.

The cycle calls `beat`; everything else follows from it. A life that hangs in a host call cannot be
stopped: it is left behind, counted, and a fresh one begins, up to a number that a node can bear.
"""

import logging
import queue
import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from bus.client.node_log import plugin_logger
from bus.contract.messages import PluginPhase, PluginState
from node_agent.plugins.line_quota import LineQuota
from node_agent.plugins.thread import Phase, PluginParts, PluginThread
from node_agent.schedule import backoff_s

logger = logging.getLogger(__name__)

# A guest is cut off at its deadline; one that is still busy so long after sleeps in the host.
_GRACE_S = 1.0
_HEALTHY_S = 300.0
_RELOAD_FAILED = "reload failed"
_MAX_ERROR_CHARS = 2000
# Each holds its guest's memory, some 20 MB, until it comes back by itself.
MAX_LEFT_BEHIND = 3

Action = Literal["reload", "enable", "disable"]
Stamp = tuple[int, int, int]


class PluginRunner:
    """One plugin of this node. Only the cycle's thread calls it, but for `command`."""

    def __init__(
        self, parts: PluginParts, wasm: Path, publish: Callable[[PluginState], object]
    ) -> None:
        self._parts = parts
        self._wasm = wasm
        self._publish = publish
        self._enabled = True
        self._limits = parts.runtime.limits_of(parts.name)
        self._quota = LineQuota(self._limits.log_lines_per_minute)
        self._left: list[PluginThread] = []
        self._commanded = False
        self._commands: queue.SimpleQueue[Action] = queue.SimpleQueue()
        self._restarts = 0
        self._failures = 0
        self._retry_at_s = 0.0
        self._error = ""
        self._life: PluginThread | None = None
        self._began_s = 0.0
        self._candidate: PluginThread | None = None
        self._stamp: Stamp | None = None
        self._seen: Stamp | None = None
        self._told: PluginState | None = None

    @property
    def name(self) -> str:
        return self._parts.name

    def beat(self, now_s: float) -> None:
        """Ask for one poll, after what must be done first to have a plugin to poll."""
        self._left = [life for life in self._left if life.phase is not Phase.ENDED]
        self._say_what_was_dropped(now_s)
        while not self._commands.empty():
            self._obey(self._commands.get())
        if self._enabled:
            self._bury(now_s)
            self._swap()
            self._begin(now_s)
            self._reload_if_changed()
            for life in (self._life, self._candidate):
                if life is not None:
                    life.beat()
        self.tell()

    def wait_idle(self, timeout_s: float) -> bool:
        return self._life is None or self._life.wait_idle(timeout_s)

    @property
    def left_behind(self) -> int:
        """How many lives hang in a host call and cannot be stopped."""
        return len(self._left)

    def _say_what_was_dropped(self, now_s: float) -> None:
        dropped = self._quota.dropped(now_s)
        if dropped:
            plugin_logger(self.name).warning(
                "%d lines more were dropped in one minute; the limit is %d",
                *(dropped, self._quota.per_minute),
            )

    def command(self, action: Action) -> None:
        """Take a command for the next beat. Any thread may call."""
        self._commands.put(action)

    def _obey(self, action: Action) -> None:
        logger.info("plugin %s: %s commanded", self.name, action)
        if action == "disable":
            self._enabled = False
            self.stop()
            self._life = self._candidate = None
            return
        self._enabled = self._commanded = True
        self._failures, self._retry_at_s = 0, 0.0
        if action == "reload":
            self._stamp = None

    def stop(self, timeout_s: float = 0.0) -> None:
        """Let every life end after its poll; wait for each for so long."""
        for life in (self._candidate, self._life):
            if life is not None:
                life.stop(timeout_s)

    def tell(self, *, again: bool = False) -> None:
        """Publish the plugin's state where it changed, or in any case on `again`."""
        state = self._state()
        if again or state != self._told:
            self._told = state
            self._publish(state)

    def _state(self) -> PluginState:
        life = self._life
        phase: PluginPhase = "failed"
        if not self._enabled:
            phase = "disabled"
        elif life is not None:
            phase = "running" if life.phase is Phase.RUNNING else "loading"
        if life is None or life.phase is not Phase.RUNNING:
            return PluginState(phase, "", 0, self._restarts, self._error)
        error = self._error or life.fault[:_MAX_ERROR_CHARS]
        return PluginState(phase, life.sha256, life.loaded_ms, self._restarts, error)

    def _begin(self, now_s: float) -> None:
        if self._life is not None or not self._is_due(now_s):
            return
        self._stamp = self._seen = _stamp(self._wasm)
        self._began_s = now_s
        self._life = self._new_life()

    def _is_due(self, now_s: float) -> bool:
        """Whether to start: the back-off is over, or a new file promises better."""
        found = _stamp(self._wasm)
        settled = found == self._seen
        self._seen = found
        if found not in (None, self._stamp) and settled:
            return True
        held_back = self.left_behind >= MAX_LEFT_BEHIND and not self._commanded
        return now_s >= self._retry_at_s and not held_back

    def _new_life(self, *, on_trial: bool = False) -> PluginThread:
        life = PluginThread(self._parts, self._wasm, self._quota, on_trial=on_trial)
        life.start()
        return life

    def _bury(self, now_s: float) -> None:
        """Notice a life that ended or hangs, and set the time of the next one."""
        life = self._life
        if life is None:
            return
        if life.phase is Phase.RUNNING and now_s - self._began_s > _HEALTHY_S:
            self._failures = 0
        if self._hangs(life):
            self._fail(now_s, self._leave_behind(life), "")
        elif life.phase is Phase.ENDED:
            self._fail(now_s, life.error, life.traceback)
        elif life.polled.is_set() and self._candidate is None and not self._reload_failed():
            self._error = ""

    def _hangs(self, life: PluginThread) -> bool:
        return life.busy_s() > self._limits.deadline_s + _GRACE_S

    def _leave_behind(self, life: PluginThread) -> str:
        """Let go of a life that hangs; return what to say of it."""
        life.abandon()
        self._left.append(life)
        said = f"hung in a host call for {life.busy_s():.1f} s, so it was left behind"
        return f"{said}; {self.left_behind} of at most {MAX_LEFT_BEHIND} hang so"

    def _fail(self, now_s: float, error: str, traceback: str) -> None:
        self._life = None
        self._failures += 1
        self._restarts += 1
        self._commanded = False
        wait_s = backoff_s(self._failures)
        if self.left_behind >= MAX_LEFT_BEHIND:
            error = f"{error}: it is not started again before one ends or its file changes"
        self._retry_at_s = now_s + wait_s
        self._error = error[:_MAX_ERROR_CHARS]
        logger.error("plugin %s failed: %s; next try in %.0f s", self.name, error, wait_s)
        if traceback:
            plugin_logger(self.name).error("%s", traceback)

    def _reload_failed(self) -> bool:
        return self._error.startswith(_RELOAD_FAILED)

    def _reload_if_changed(self) -> None:
        """Load a changed file beside the running life, once it has stopped growing."""
        if self._candidate is not None or self._life is None:
            return
        found = _stamp(self._wasm)
        settled = found == self._seen
        self._seen = found
        if found is None or found == self._stamp or not settled:
            return
        self._stamp = found
        logger.info("plugin %s: %s changed, loading it beside the old one", self.name, self._wasm)
        self._candidate = self._new_life(on_trial=True)

    def _swap(self) -> None:
        """Let a candidate that polled once take over, and drop one that could not."""
        candidate = self._candidate
        if candidate is None:
            return
        error = self._leave_behind(candidate) if self._hangs(candidate) else candidate.error
        if error or candidate.phase is Phase.ENDED:
            self._candidate = None
            self._error = f"{_RELOAD_FAILED}: {error}"[:_MAX_ERROR_CHARS]
            logger.error("plugin %s: %s; the old one runs on", self.name, self._error)
        elif candidate.polled.is_set():
            old, self._life, self._candidate = self._life, candidate, None
            candidate.on_trial = False
            self._began_s, self._error = time.monotonic(), ""
            if old is not None:
                old.stop()
            logger.info("plugin %s: swapped to %s", self.name, candidate.sha256[:12])


def _stamp(path: Path) -> Stamp | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino
