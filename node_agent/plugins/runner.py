"""Supervisor of one plugin: starts, restarts and reloads it, and publishes its state.

A guest that hangs in a host call cannot be stopped: its thread is left behind, and a new one
starts, up to a number that a node's memory can bear.
"""

import logging
import queue
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal

import msgspec

from bus.client.node_log import plugin_logger
from bus.clock import now_ms
from bus.contract.description import PluginDescription, SettingValue
from bus.contract.messages import (
    MAX_LOG_CHARS,
    PluginCost,
    PluginPhase,
    PluginState,
    ShadowReport,
)
from bus.contract.plugin_file import plugin_description
from bus.errors import BadCommandError, BadDataError
from bus.limited_log import LimitedLog
from node_agent.delivery.plugin_delivery import PluginDelivery
from node_agent.plugins.file_watch import FileWatch
from node_agent.plugins.hung_threads import HungThreads
from node_agent.plugins.restart_policy import RestartPolicy
from node_agent.plugins.thread import Phase, PluginParts, PluginThread
from node_agent.recorder.shadow import Shadow

logger = logging.getLogger(__name__)

# A guest is cut off at its deadline; one that is busy this much longer hangs in the host.
_GRACE_S = 1.0
_NO_RECORDER = "it sees no polls: plugins.record_kb is 0, so that there is no flight recorder"
_RELOAD_FAILED = "reload failed"
_MAX_ERROR_CHARS = 2000

# `set` changes settings and is no part of a plugin's life.
Action = Literal["reload", "enable", "disable", "record"]


class PluginRunner:
    """One plugin of this node. Only the cycle's thread calls it, except for `command`."""

    def __init__(
        self,
        parts: PluginParts,
        locate: Callable[[], Path],
        publish: Callable[[PluginState], object],
        *,
        is_enabled: bool = True,
        delivery: PluginDelivery | None = None,
    ) -> None:
        """`locate` finds the node's own file; a `delivery` has those that the hub sent, too."""
        self._parts = parts
        self._publish = publish
        limits = parts.runtime.limits_of(parts.name)
        self._log = LimitedLog(plugin_logger(parts.name), limits.log_lines_per_minute)
        self._delivery = delivery or PluginDelivery(locate)
        # Of either form, so that another file may take its place.
        self._file = FileWatch(self._delivery.path)
        self._restarts = RestartPolicy()
        self._hung = HungThreads()
        # The crossing from the actuators' thread to the cycle's.
        self._commands: queue.SimpleQueue[Action] = queue.SimpleQueue()
        self._is_enabled = is_enabled
        self._is_commanded = False
        # Threads of a disabled plugin, which may still light its outputs; None when those are dark.
        self._darkened: list[PluginThread] | None = None if is_enabled else []
        self._running: PluginThread | None = None
        # Another version that only polls beside it.
        self._shadow: Shadow | None = None
        # A changed component on trial, beside the running one.
        self._candidate: PluginThread | None = None
        # Whether the candidate is of the hub's order.
        self._is_offer = False
        self._error = ""
        # Of the component that runs or ran last.
        self._version = ""
        self._last_failure = ""
        self._published: PluginState | None = None
        self._since_ms = 0

    @property
    def name(self) -> str:
        return self._parts.name

    @property
    def left_behind(self) -> int:
        """The number of threads that hang in a host call and cannot be stopped."""
        return len(self._hung)

    @property
    def is_darkening(self) -> bool:
        """Whether a poll of the disabled plugin may still switch on its outputs."""
        return not self._is_enabled and self._darkened is not None

    @property
    def phase(self) -> PluginPhase:
        """The plugin's phase as it was last published."""
        return self._published.state if self._published is not None else "loading"

    def cost(self, memory_sizes: Mapping[int, int]) -> PluginCost:
        """Return the plugin's cost; `memory_sizes` are of all guests, by `linear.sizes`."""
        if self._running is not None:
            self._running.measure_memory(memory_sizes)
        return self._parts.costs.cost()

    def command(self, action: Action) -> None:
        """Take a command for the next cycle. Any thread may call."""
        self._commands.put(action)

    def set_settings(
        self, values: Mapping[str, SettingValue | None], sensor_id: str | None = None
    ) -> None:
        """Set values of the plugin or of one sensor, from the next poll on. Any thread may call.

        Raises BadCommandError, with nothing set, where one does not fit.
        """
        settings = self._parts.settings
        if not settings.described:
            # The plugin is disabled or failed before it ran.
            said = self._described_in_file()
            settings.adopt(said.settings, said.fields)
        settings.set(values, sensor_id)

    def run_cycle(self, now_s: float) -> None:
        """Execute commands, start and replace the plugin as needed, then request one poll."""
        self._hung.remove_ended()
        self._log.sweep(now_s)
        while not self._commands.empty():
            self._execute(self._commands.get())
        self._delivery.begin_cycle(is_enabled=self._is_enabled)
        self._follow_shadow()
        if self._is_enabled:
            self._check_running(now_s)
            self._check_candidate()
            self._start_if_due(now_s)
            self._try_offer()
            self._reload_if_changed()
            for thread in (self._running, self._candidate):
                if thread is not None:
                    thread.request_poll()
        else:
            self._darken()
        self.publish_state()

    def wait_idle(self, timeout_s: float) -> bool:
        """Wait for the end of the requested poll; return whether it came in time."""
        return self._running is None or self._running.wait_idle(timeout_s)

    def stop(self, timeout_s: float = 0.0) -> None:
        """End every thread after its poll; wait up to `timeout_s` for each."""
        if timeout_s and self._shadow is not None:
            self._shadow.stop(timeout_s)
            self._shadow = None
        for thread in (self._candidate, self._running):
            if thread is not None:
                thread.stop(timeout_s)

    def publish_state(self, *, again: bool = False) -> None:
        """Publish the plugin's state where it changed, or in any case with `again`."""
        state = self._state()
        if self._published is None or self._published.state != state.state:
            self._since_ms = now_ms()
        settings = self._parts.settings
        state = msgspec.structs.replace(
            state,
            since_ms=self._since_ms,
            settings=settings.values(),
            described=settings.described,
            sensors=settings.sensor_values(),
            version=self._version,
            last_failure=self._last_failure,
        )
        if again or state != self._published:
            self._published = state
            self._publish(state)

    def _described_in_file(self) -> PluginDescription:
        try:
            return plugin_description.read(self._file.path)
        except (BadDataError, OSError) as e:
            raise BadCommandError(f"plugin {self.name}: {e}") from e

    def _execute(self, action: Action) -> None:
        logger.info("plugin %s: command %s", self.name, action)
        if action == "record":
            if self._running is not None:
                self._running.keep_record("command")
            elif self._parts.flight is not None:
                self._parts.flight.send_last()
            return
        if action == "disable":
            self._is_enabled = False
            self.stop()
            self._darkened = [t for t in (self._running, self._candidate) if t is not None]
            for thread in self._darkened:
                thread.release_outputs()
            self._running = self._candidate = None
            self._is_offer = False
            self._parts.save_state()
            return
        self._is_enabled = self._is_commanded = True
        self._restarts.retry_now()
        if action == "reload":
            self._file.forget_loaded()

    def shadow_report(self) -> ShadowReport | None:
        """Return what to tell of the version that runs in the shadow, None where none does."""
        return self._shadow.report() if self._shadow is not None else None

    def _follow_shadow(self) -> None:
        """Start or end the shadow run of a delivered version; let it see the running one."""
        path = self._delivery.shadowed() if self._is_enabled else None
        if self._shadow is not None and self._shadow.path != path:
            self._shadow.stop()
            self._shadow = None
        if path is not None and self._shadow is None:
            logger.info("plugin %s: %s runs in its shadow", self.name, path.name)
            parts, obstacle = self._parts, "" if self._parts.flight is not None else _NO_RECORDER
            self._shadow = Shadow(self.name, parts.runtime, path, parts.admit, obstacle)
            self._shadow.start()
        if self._running is not None:
            self._running.shadow = self._shadow

    def _darken(self) -> None:
        """Switch off the outputs, again after the end of the poll that was under way."""
        if self._darkened is None:
            return
        still_running = [t for t in self._darkened if t.phase is not Phase.ENDED]
        self._parts.darken()
        self._darkened = still_running or None

    def _state(self) -> PluginState:
        restarts, thread = self._restarts.restarts, self._running
        if self._is_enabled and thread is not None and thread.phase is Phase.RUNNING:
            error = self._error or thread.fault or self._parts.settings.problem
            error = error[:_MAX_ERROR_CHARS]
            self._version = thread.version
            return PluginState("running", thread.sha256, thread.loaded_ms, restarts, error)
        phase: PluginPhase = "failed" if thread is None else "loading"
        return PluginState(phase if self._is_enabled else "disabled", "", 0, restarts, self._error)

    def _start_if_due(self, now_s: float) -> None:
        """Start the plugin where its back-off is over or its file is a new one."""
        if self._running is not None:
            return
        is_held_back = self._hung.is_full and not self._is_commanded
        is_due = self._restarts.is_due(now_s) and not is_held_back
        if self._file.has_new_version() or is_due:
            self._file.mark_loaded()
            self._restarts.started()
            self._running = self._start_thread()

    def _start_thread(self, path: Path | None = None, *, is_published: bool = True) -> PluginThread:
        thread = PluginThread(
            self._parts, path or self._file.path, self._log, is_published=is_published
        )
        thread.start()
        return thread

    def _check_running(self, now_s: float) -> None:
        """Note whether the plugin runs, has ended or hangs."""
        thread = self._running
        if thread is None:
            return
        if thread.phase is Phase.RUNNING:
            self._restarts.running(now_s)
        polls = (thread.good_polls, thread.bad_polls, thread.fault)
        if reason := self._delivery.polled(thread.path, *polls):
            thread.abandon()
            thread.keep_record("fault", reason)
            self._fail(now_s, reason, "")
            self._start_again_at_once()
        elif self._hangs(thread):
            error = self._hung.leave_behind(thread)
            thread.keep_record("fault", error)
            self._fail(now_s, error, "")
        elif thread.phase is Phase.ENDED:
            self._fail(now_s, thread.error, thread.traceback)
        elif thread.has_polled.is_set() and self._candidate is None and not self._reload_failed():
            self._error = ""

    def _hangs(self, thread: PluginThread) -> bool:
        return thread.overdue_s() > _GRACE_S

    def _fail(self, now_s: float, error: str, traceback: str) -> None:
        failed, self._running = self._running, None
        self._is_commanded = False
        wait_s = self._restarts.failed(now_s)
        if self._hung.is_full:
            error = f"{error}: it is not started again before one ends or its file changes"
        self._error = error[:_MAX_ERROR_CHARS]
        self._last_failure = _newest(traceback or error)
        logger.error("plugin %s failed: %s; next try in %.0f s", self.name, error, wait_s)
        if traceback:
            plugin_logger(self.name).error("%s", traceback)
        if failed is not None and self._delivery.failed(failed.path, _reason_of(traceback, error)):
            self._start_again_at_once()

    def _start_again_at_once(self) -> None:
        """Start the version that ran before, in this cycle: the one on probation has failed."""
        logger.error("plugin %s: the version before runs again", self.name)
        self._restarts.retry_now()

    def _reload_failed(self) -> bool:
        return self._error.startswith(_RELOAD_FAILED)

    def _reload_if_changed(self) -> None:
        """Load a changed file beside the running plugin, as a candidate."""
        if self._candidate is not None or self._running is None:
            return
        if self._file.has_new_version():
            reason = "reload by command" if self._file.is_forgotten else "the file changed"
            self._file.mark_loaded()
            logger.info(
                "plugin %s: %s; loading %s on trial", self.name, reason, self._file.path.name
            )
            self._candidate = self._start_thread(is_published=False)

    def _try_offer(self) -> None:
        """Load a version that the hub delivered, as a candidate."""
        path = self._delivery.offered()
        if path is None or self._candidate is not None:
            return
        logger.info("plugin %s: loading %s on trial", self.name, path.name)
        self._candidate = self._start_thread(path, is_published=False)
        self._is_offer = True

    def _check_candidate(self) -> None:
        """Let a candidate that polled once take over; drop one that failed."""
        candidate = self._candidate
        if candidate is None:
            return
        if self._is_offer and candidate.path != self._delivery.offered():
            # A newer order has come.
            candidate.stop()
            self._candidate, self._is_offer = None, False
            return
        error = self._hung.leave_behind(candidate) if self._hangs(candidate) else candidate.error
        if error or candidate.phase is Phase.ENDED:
            self._candidate = None
            self._error = f"{_RELOAD_FAILED}: {error}"[:_MAX_ERROR_CHARS]
            self._last_failure = _newest(candidate.traceback or self._error)
            logger.error("plugin %s: %s; the old one runs on", self.name, self._error)
            self._note_trial(_reason_of(candidate.traceback, error))
        elif candidate.has_polled.is_set():
            self._replace_running(candidate)

    def _replace_running(self, candidate: PluginThread) -> None:
        replaced, self._running, self._candidate = self._running, candidate, None
        self._parts.save_state()
        self._note_trial()
        if replaced is not None:
            replaced.retire()
        candidate.publish()
        self._restarts.started()
        self._error = ""
        if replaced is not None:
            replaced.stop()
        is_same = replaced is not None and replaced.sha256 == candidate.sha256
        version = "the same version" if is_same else "a new version"
        logger.info("plugin %s: reloaded %s, %s", self.name, version, candidate.sha256[:12])

    def _note_trial(self, error: str = "") -> None:
        """Tell the delivery what became of its version, where the candidate was that."""
        if not self._is_offer:
            return
        self._is_offer = False
        self._delivery.tried(error)
        if not error:
            self._file.mark_loaded()


def _reason_of(traceback: str, error: str) -> str:
    """Return the end of a traceback, where there is one, with the error that it led to."""
    return _newest(traceback)[-_MAX_ERROR_CHARS:] if traceback else error


def _newest(text: str) -> str:
    """Return the end of a text that is longer than a message may have."""
    return text[-MAX_LOG_CHARS:]
