"""The one thread that lets a node's readings out: new ones at once, then the backlog.

It sends only while connected, and never has more than 20 messages in paho.
"""

import logging
import queue
import threading
import time
from collections.abc import Callable

import msgspec

from bus.config.outbox_table import OutboxConfig
from bus.contract.messages import Backlog, Reading, Stored
from bus.outbox.outbox import Outbox
from bus.outbox.window import Window

logger = logging.getLogger(__name__)

MAX_IN_FLIGHT = 20
_JOIN_S = 5.0
# Between two looks at the backlog where nobody wakes the thread.
_IDLE_S = 0.5


class Link(msgspec.Struct, frozen=True):
    """What the sender needs of the bus. The last two return whether the link took it."""

    is_connected: Callable[[], bool]
    in_flight: Callable[[], int]
    say_reading: Callable[[Reading], bool]
    say_backlog: Callable[[Backlog], bool]


class Sender:
    """Drains `outbox` through `link`, from `start` until `stop`."""

    def __init__(self, outbox: Outbox, settings: OutboxConfig, link: Link) -> None:
        self._outbox = outbox
        self._link = link
        self._window = Window(settings.backlog_rows_per_s, settings.resend_s)
        self._heard: queue.SimpleQueue[Stored] = queue.SimpleQueue()
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._failing = False
        self._thread = threading.Thread(target=self._run, name="outbox", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._wake.set()
        self._thread.join(_JOIN_S)

    def wake(self) -> None:
        """Look again now: there is something to send, or room for it. Any thread may call."""
        self._wake.set()

    def hear(self, stored: Stored) -> None:
        """Take note of what the hub has stored. Any thread may call."""
        self._heard.put(stored)
        self._wake.set()

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._wake.wait(_IDLE_S)
            self._wake.clear()
            try:
                self._step()
                self._failing = False
            except Exception:
                # This thread has no other owner, and without it the node is mute.
                if not self._failing:
                    logger.exception("the outbox failed")
                self._failing = True

    def _step(self) -> None:
        while not self._heard.empty():
            stored = self._heard.get()
            self._outbox.stored(stored.stream, stored.ranges)
            self._window.stored(stored.stream, stored.ranges)
        self._outbox.tend()
        if not self._link.is_connected():
            self._window.restart()
            return
        self._send_live()
        self._send_backlog(time.monotonic())

    def _send_live(self) -> None:
        while self._link.in_flight() < MAX_IN_FLIGHT:
            reading = self._outbox.take_live()
            # One that the link does not take follows as backlog.
            if reading is None or not self._link.say_reading(reading):
                return

    def _send_backlog(self, now_s: float) -> None:
        if self._window.is_overdue(now_s):
            self._outbox.forget_stored()
            self._window.restart()
        if not self._window.has_room(now_s) or self._link.in_flight() >= MAX_IN_FLIGHT:
            return
        readings = self._outbox.backlog(self._window.cursor)
        if readings and self._link.say_backlog(Backlog(readings)):
            self._window.sent(readings, now_s)
