"""Sounds buzzer patterns on a thread of its own; a new pattern replaces the running one."""

import logging
import threading
import time
from collections.abc import Callable
from typing import Self

from bus.contract.commands import PATTERNS, Pattern
from bus.contract.messages import Buzzer
from bus.errors import HarvesterError

logger = logging.getLogger(__name__)

SILENT = Buzzer(sounding=False, pattern="")
_JOIN_S = 1.0


class BuzzerPlayer:
    """`set_relay(on)` closes and releases the relay; `publish` hears what the buzzer does."""

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
        self._wanted: tuple[Pattern, str] | None = None
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
        """Start a pattern in place of whatever sounds now. Returns at once."""
        with self._changed:
            self._wanted = (pattern, name)
            self._changed.notify_all()

    def stop(self) -> None:
        self.play(PATTERNS["off"], "off")

    def _run(self) -> None:
        while (wanted := self._next()) is not None:
            pattern, name = wanted
            try:
                if pattern.count:
                    self._say(Buzzer(sounding=True, pattern=name))
                self._sound(pattern)
            except HarvesterError as e:
                logger.error("buzzer: %s", e)  # noqa: TRY400 - the sentence says it all
            # One pattern after another is no silence.
            if self._wanted is None:
                self._say(SILENT)

    def _say(self, state: Buzzer) -> None:
        if state != self.state:
            self.state = state
            self._publish(state)

    def _next(self) -> tuple[Pattern, str] | None:
        with self._changed:
            self._changed.wait_for(lambda: self._wanted is not None or self._stopping)
            wanted, self._wanted = self._wanted, None
            return None if self._stopping else wanted

    def _sound(self, pattern: Pattern) -> None:
        try:
            for beep in range(pattern.count):
                if beep and self._interrupted(pattern.interval_ms / 1000):
                    return
                self._set_relay(True)
                interrupted = self._interrupted(min(pattern.duration_ms / 1000, self._longest_on_s))
                self._set_relay(False)
                if interrupted:
                    return
        finally:
            self._set_relay(False)

    def _interrupted(self, wait_s: float) -> bool:
        """Wait; return at once and True when another pattern is wanted or the node stops."""
        deadline_s = time.monotonic() + wait_s
        with self._changed:
            return self._changed.wait_for(
                lambda: self._wanted is not None or self._stopping,
                max(0.0, deadline_s - time.monotonic()),
            )
