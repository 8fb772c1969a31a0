"""Supervisor of one plugin: starts, restarts and reloads it, and publishes its state.

A guest that hangs in a host call cannot be stopped: its thread is left behind, and a new one
starts, up to a number that a node's memory can bear.
"""

import logging
import queue
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Literal

from bus.client.node_log import plugin_logger
from bus.contract.description import SettingValue
from bus.contract.messages import (
    PluginCost,
    PluginPhase,
    PluginState,
    ShadowReport,
)
from bus.limited_log import LimitedLog
from node_agent.delivery.plugin_delivery import PluginDelivery
from node_agent.plugins.supervisor.candidate import Candidate
from node_agent.plugins.supervisor.darkening import Darkening
from node_agent.plugins.supervisor.file_watch import FileWatch
from node_agent.plugins.supervisor.published_state import PublishedState
from node_agent.plugins.supervisor.recovery import MAX_ERROR_CHARS, Recovery, reason_of
from node_agent.plugins.supervisor.set_settings import set_settings
from node_agent.plugins.supervisor.shadow_run import ShadowRun
from node_agent.plugins.thread import Phase, PluginParts, PluginThread

logger = logging.getLogger(__name__)

# A guest is cut off at its deadline; one that is busy this much longer hangs in the host.
_GRACE_S = 1.0

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
        limits = parts.runtime.limits_of(parts.name)
        self._log = LimitedLog(plugin_logger(parts.name), limits.log_lines_per_minute)
        self._delivery = delivery or PluginDelivery(locate)
        # Of either form, so that another file may take its place.
        self._file = FileWatch(self._delivery.path)
        # The crossing from the actuators' thread to the cycle's.
        self._commands: queue.SimpleQueue[Action] = queue.SimpleQueue()
        self._is_enabled = is_enabled
        self._darkening = Darkening(parts.darken, is_pending=not is_enabled)
        self._running: PluginThread | None = None
        self._shadow_run = ShadowRun(parts, self._delivery)
        start_trial = partial(self._start_thread, is_published=False)
        self._candidate = Candidate(parts.name, self._file, self._delivery, start_trial)
        self._published = PublishedState(parts.settings, publish)
        self._recovery = Recovery(parts.name, self._published)

    @property
    def name(self) -> str:
        return self._parts.name

    @property
    def left_behind(self) -> int:
        """The number of threads that hang in a host call and cannot be stopped."""
        return len(self._recovery.hung)

    @property
    def is_darkening(self) -> bool:
        """Whether a poll of the disabled plugin may still switch on its outputs."""
        return not self._is_enabled and self._darkening.is_pending

    @property
    def phase(self) -> PluginPhase:
        """The plugin's phase as it was last published."""
        return self._published.phase

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
        set_settings(self.name, self._parts.settings, self._file.path, values, sensor_id)

    def run_cycle(self, now_s: float) -> None:
        """Execute commands, start and replace the plugin as needed, then request one poll."""
        self._recovery.hung.remove_ended()
        self._log.sweep(now_s)
        while not self._commands.empty():
            self._execute(self._commands.get())
        self._delivery.begin_cycle(is_enabled=self._is_enabled)
        self._shadow_run.follow(self._running, is_enabled=self._is_enabled)
        if self._is_enabled:
            self._check_running(now_s)
            self._check_candidate()
            self._start_if_due(now_s)
            self._candidate.try_offer(self._running)
            if self._running is not None:
                self._candidate.try_changed_file()
            for thread in self._threads():
                thread.request_poll()
        else:
            self._darkening.run_cycle()
        self.publish_state()

    def wait_idle(self, timeout_s: float) -> bool:
        """Wait for the end of the requested poll; return whether it came in time."""
        return self._running is None or self._running.wait_idle(timeout_s)

    def stop(self, timeout_s: float = 0.0) -> None:
        """End every thread after its poll; wait up to `timeout_s` for each."""
        if timeout_s:
            self._shadow_run.stop(timeout_s)
        for thread in reversed(self._threads()):
            thread.stop(timeout_s)

    def publish_state(self, *, again: bool = False) -> None:
        """Publish the plugin's state where it changed, or in any case with `again`."""
        self._published.publish(self._state(), again=again)

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
            self._darkening.begin(self._threads())
            self._running = None
            self._candidate.forget()
            self._parts.save_state()
            return
        self._is_enabled = True
        self._recovery.command_start()
        if action == "reload":
            self._file.forget_loaded()

    def shadow_report(self) -> ShadowReport | None:
        """Return what to tell of the version that runs in the shadow, None where none does."""
        return self._shadow_run.report()

    def _state(self) -> PluginState:
        restarts, thread = self._recovery.restarts.restarts, self._running
        if self._is_enabled and thread is not None and thread.phase is Phase.RUNNING:
            error = self._recovery.error or thread.fault or self._parts.settings.problem
            error = error[:MAX_ERROR_CHARS]
            self._published.version = thread.version
            return PluginState("running", thread.sha256, thread.loaded_ms, restarts, error)
        phase: PluginPhase = "failed" if thread is None else "loading"
        shown = phase if self._is_enabled else "disabled"
        return PluginState(shown, "", 0, restarts, self._recovery.error)

    def _start_if_due(self, now_s: float) -> None:
        """Start the plugin where its back-off is over or its file is a new one."""
        if self._running is not None:
            return
        if self._file.has_new_version() or self._recovery.is_start_due(now_s):
            self._file.mark_loaded()
            self._recovery.restarts.started()
            self._running = self._start_thread(self._file.path)

    def _threads(self) -> list[PluginThread]:
        """Return the running thread and the candidate's, as far as there are."""
        threads = (self._running, self._candidate.thread)
        return [thread for thread in threads if thread is not None]

    def _start_thread(self, path: Path, *, is_published: bool = True) -> PluginThread:
        thread = PluginThread(self._parts, path, self._log, is_published=is_published)
        thread.start()
        return thread

    def _check_running(self, now_s: float) -> None:
        """Note whether the plugin runs, has ended or hangs."""
        thread = self._running
        if thread is None:
            return
        if thread.phase is Phase.RUNNING:
            self._recovery.restarts.running(now_s)
        polls = (thread.good_polls, thread.bad_polls, thread.fault)
        if reason := self._delivery.polled(thread.path, *polls):
            thread.abandon()
            thread.keep_record("fault", reason)
            self._fail(now_s, reason, "")
            self._recovery.start_former()
        elif self._hangs(thread):
            error = self._recovery.hung.leave_behind(thread)
            thread.keep_record("fault", error)
            self._fail(now_s, error, "")
        elif thread.phase is Phase.ENDED:
            self._fail(now_s, thread.error, thread.traceback)
        elif thread.has_polled.is_set() and self._candidate.thread is None:
            self._recovery.polled()

    def _hangs(self, thread: PluginThread) -> bool:
        return thread.overdue_s() > _GRACE_S

    def _fail(self, now_s: float, error: str, traceback: str) -> None:
        failed, self._running = self._running, None
        self._recovery.failed(now_s, error, traceback)
        if failed is not None and self._delivery.failed(failed.path, reason_of(traceback, error)):
            self._recovery.start_former()

    def _check_candidate(self) -> None:
        """Let a candidate that polled as it should take over; drop one that failed."""
        self._candidate.drop_outdated()
        candidate = self._candidate.thread
        if candidate is None:
            return
        # Before the error, which is there as soon as it has ended.
        has_ended = candidate.phase is Phase.ENDED
        error = candidate.error
        if self._hangs(candidate):
            error = self._recovery.hung.leave_behind(candidate)
        has_passed = False
        if not error and not has_ended:
            has_passed, error = self._candidate.judge(self._running)
            if error:
                candidate.abandon()
        if error or has_ended:
            self._recovery.reload_failed(error, candidate.traceback)
            self._candidate.end_trial(reason_of(candidate.traceback, error))
        elif has_passed:
            self._replace_running(candidate)

    def _replace_running(self, candidate: PluginThread) -> None:
        replaced, self._running = self._running, candidate
        self._parts.save_state()
        self._candidate.end_trial()
        if replaced is not None:
            replaced.retire()
        candidate.publish()
        is_same = replaced is not None and replaced.sha256 == candidate.sha256
        self._recovery.replaced(is_new=not is_same)
        if replaced is not None:
            replaced.stop()
        version = "the same version" if is_same else "a new version"
        logger.info("plugin %s: reloaded %s, %s", self.name, version, candidate.sha256[:12])
