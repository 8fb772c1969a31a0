"""Buzzer player: sounds patterns on a thread of its own.

Alarms of plugins queue, so that each is heard. A person's command replaces the running pattern, and
a person's `off` ends all.
"""

import logging
import math
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import NamedTuple, Self

from bus.contract.commands import PATTERNS, Pattern
from bus.contract.messages import Buzzer
from bus.errors import HarvesterError

logger = logging.getLogger(__name__)

SILENT = Buzzer(sounding=False, pattern="")
_JOIN_S = 1.0
# Alarms of one plugin that wait: one that sounds in every poll must not keep out the others.
_MAX_WAITING = 2
# A longer alarm gives way to the next one that waits.
ALARM_SHARE_S = 5.0
# Silence between two alarms.
ALARM_GAP_S = 0.5


class _Job(NamedTuple):
    """A pattern to sound, and its source's name for the state."""

    pattern: Pattern
    name: str
    is_alarm: bool


class BuzzerPlayer:
    """`set_relay(on)` closes and releases the relay; `publish` is called with each new state."""

    def __init__(
        self,
        set_relay: Callable[[bool], None],
        publish: Callable[[Buzzer], object],
        longest_on_ms: int,
    ) -> None:
        self._set_relay = set_relay
        self._publish = publish
        self.state = SILENT
        self._longest_on_s = longest_on_ms / 1000
        self._commanded: _Job | None = None
        self._alarms: deque[_Job] = deque()
        self._current: _Job | None = None
        self._changed = threading.Condition()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="buzzer", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        self._thread.join(_JOIN_S)

    def play(self, pattern: Pattern, name: str) -> None:
        """Start a pattern in place of the running one; one without beeps also drops what waits."""
        with self._changed:
            self._commanded = _Job(pattern, name, is_alarm=False)
            if not pattern.count:
                self._alarms.clear()
            self._changed.notify_all()

    def enqueue(self, pattern: Pattern, name: str) -> None:
        """Sound a plugin's alarm after those that sound or wait now. Returns at once."""
        with self._changed:
            waiting = sum(job.name == name for job in self._alarms)
            if pattern.count and waiting < _MAX_WAITING:
                self._alarms.append(_Job(pattern, name, is_alarm=True))
                self._changed.notify_all()

    def cancel(self, name: str) -> None:
        """End and drop the alarms of one plugin; those of others and commands stay."""
        with self._changed:
            self._alarms = deque(job for job in self._alarms if job.name != name)
            current = self._current
            is_sounding = current is not None and current.is_alarm and current.name == name
            if is_sounding and self._commanded is None:
                self._commanded = _Job(PATTERNS["off"], "off", is_alarm=False)
            self._changed.notify_all()

    def stop(self) -> None:
        self.play(PATTERNS["off"], "off")

    def _run(self) -> None:
        while (job := self._next()) is not None:
            try:
                if job.pattern.count:
                    self._set_state(Buzzer(sounding=True, pattern=job.name))
                self._sound(job)
            except HarvesterError as e:
                logger.error("buzzer: %s", e)  # noqa: TRY400 - a traceback adds nothing
            self._current = None
            # Between two patterns the buzzer is not reported silent.
            if not self._has_job():
                self._set_state(SILENT)

    def _set_state(self, state: Buzzer) -> None:
        if state != self.state:
            self.state = state
            self._publish(state)

    def _has_job(self) -> bool:
        return self._commanded is not None or bool(self._alarms)

    def _next(self) -> _Job | None:
        """Wait for the next pattern; return None when the node stops."""
        with self._changed:
            self._changed.wait_for(lambda: self._has_job() or self._stopping)
            if self._stopping:
                return None
            job, self._commanded = self._commanded, None
            self._current = job if job is not None else self._alarms.popleft()
            return self._current

    def _sound(self, job: _Job) -> None:
        pattern = job.pattern
        share_ends_s = time.monotonic() + ALARM_SHARE_S if job.is_alarm else math.inf
        try:
            for beep in range(pattern.count):
                if beep and self._interrupted(pattern.interval_ms / 1000, share_ends_s):
                    return
                self._set_relay(True)
                on_s = min(pattern.duration_ms / 1000, self._longest_on_s)
                interrupted = self._interrupted(on_s, share_ends_s)
                self._set_relay(False)
                if interrupted:
                    return
        finally:
            self._set_relay(False)
            if self._alarms and self._commanded is None:
                self._pause()

    def _interrupted(self, wait_s: float, share_ends_s: float) -> bool:
        """Wait; return True as soon as another pattern's turn has come or the node stops."""
        ends_s = time.monotonic() + wait_s
        with self._changed:
            while not self._must_end(share_ends_s):
                now_s = time.monotonic()
                if now_s >= ends_s:
                    return False
                # An alarm that waits takes over when the share is used up.
                until_s = min(ends_s, share_ends_s) if now_s < share_ends_s else ends_s
                self._changed.wait(until_s - now_s)
            return True

    def _must_end(self, share_ends_s: float) -> bool:
        share_is_over = bool(self._alarms) and time.monotonic() >= share_ends_s
        return self._stopping or self._commanded is not None or share_is_over

    def _pause(self) -> None:
        """Keep two alarms apart, so that they are heard as two."""
        with self._changed:
            self._changed.wait_for(
                lambda: self._stopping or self._commanded is not None, ALARM_GAP_S
            )
