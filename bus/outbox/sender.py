"""Sender thread of a node's readings: new ones at once, then the backlog.

It sends only while connected, and never has more than 20 messages in flight.
"""

import logging
import threading
import time
from collections.abc import Callable

import msgspec

from bus.config.outbox_table import OutboxConfig
from bus.contract.messages import Backlog, Reading
from bus.fault import Fault
from bus.outbox.answer_time import AnswerTime
from bus.outbox.inbox import SenderInbox
from bus.outbox.outbox import Outbox
from bus.outbox.window import Window

logger = logging.getLogger(__name__)

MAX_IN_FLIGHT = 20
_JOIN_S = 5.0
# Interval of looking at the backlog when nobody wakes the thread.
_IDLE_S = 0.5


class Link(msgspec.Struct, frozen=True):
    """The connection as the sender sees it. The last two return whether the message was sent."""

    is_connected: Callable[[], bool]
    in_flight: Callable[[], int]
    publish_reading: Callable[[Reading], bool]
    publish_backlog: Callable[[Backlog], bool]


class Sender:
    """Sends the readings in `outbox` through `link`, from `start` until `stop`."""

    def __init__(
        self, outbox: Outbox, inbox: SenderInbox, settings: OutboxConfig, link: Link
    ) -> None:
        self._outbox = outbox
        self._inbox = inbox
        self._link = link
        self._window = Window(settings.backlog_rows_per_s, settings.resend_s)
        self._answers = AnswerTime(settings.live_s)
        self._stopping = threading.Event()
        # Readings that the hub has stored since the start.
        self.stored = 0
        self._fault = Fault("sender of readings", logger=logger, level=logging.ERROR)
        self._thread = threading.Thread(target=self._run, name="outbox", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._inbox.wake()
        self._thread.join(_JOIN_S)

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._inbox.wait(_IDLE_S)
            try:
                self._step()
            except Exception as e:  # noqa: BLE001 - without this thread the node sends nothing
                self._fault.failed(repr(e), traceback=True)
            else:
                self._fault.worked()

    def _step(self) -> None:
        for stored in self._inbox.take_stored():
            self._outbox.stored(stored.stream, stored.ranges)
            self.stored += sum(last + 1 - first for first, last in stored.ranges)
            if stored.refused:
                self._outbox.refused(stored.stream, stored.refused)
            self._window.stored(stored.stream, [*stored.ranges, *stored.refused])
            if stored.stream == self._outbox.stream:
                self._answers.stored(stored.ranges, time.monotonic())
        self._outbox.tend()
        if not self._link.is_connected():
            self._window.restart()
            self._answers.restart()
            return
        self._send_live()
        self._send_backlog(time.monotonic())

    def _send_live(self) -> None:
        while self._link.in_flight() < MAX_IN_FLIGHT:
            reading = self._outbox.take_live()
            # A reading that was not sent follows as backlog.
            if reading is None or not self._link.publish_reading(reading):
                return
            self._answers.sent(reading.seq, time.monotonic())

    def _send_backlog(self, now_s: float) -> None:
        if self._window.expire(now_s):
            self._outbox.forget_stored()
        if not self._window.has_room(now_s) or self._link.in_flight() >= MAX_IN_FLIGHT:
            return
        readings = self._outbox.backlog(self._window.cursor, self._answers.wait_s)
        if readings and self._link.publish_backlog(Backlog(readings)):
            self._window.sent(readings, now_s)
        elif not readings and self._window.is_idle:
            # What the hub has not stored so far is sent again, from the oldest on.
            self._window.restart()
