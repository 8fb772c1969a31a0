"""Notifier: a thread that sends notices to each address, and again after a failure.

Each address has a bounded queue and a back-off of its own, so that one that fails delays no other,
and none delays the hub.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence

import msgspec

from bus.client.backoff import Backoff
from bus.errors import UnavailableError
from bus.fault import Fault
from hub_app.alarms.addresses import Address
from hub_app.alarms.notices import Notice
from hub_app.process.supervisor import Supervisor

logger = logging.getLogger(__name__)

MAX_QUEUED = 100
_FIRST_RETRY_S = 5.0
_LONGEST_RETRY_S = 600.0
# A notice that no service took within a day is of no use any more.
_LONGEST_S = 86_400.0
_JOIN_S = 2.0


class AddressStatus(msgspec.Struct, frozen=True):
    """Counters of one address since the hub's start; `fault` is empty while it works."""

    address: str
    sent: int
    failed: int
    dropped: int
    waiting: int
    fault: str


class _Queue:
    """Notices for one address, with the time at which it is tried next."""

    def __init__(self, address: Address, first_retry_s: float) -> None:
        self.address = address
        # Each with the time of its arrival.
        self.notices: deque[tuple[float, Notice]] = deque()
        self.backoff = Backoff(first_retry_s, _LONGEST_RETRY_S)
        self.due_s = 0.0
        self.sent = self.failed = self.dropped = 0
        self.fault = Fault(f"notifications to {address.name}", logger=logger)

    @property
    def status(self) -> AddressStatus:
        return AddressStatus(
            *(self.address.name, self.sent, self.failed, self.dropped, len(self.notices)),
            fault=self.fault.reason,
        )


class Notifier:
    """Sends what `put` takes, from `start` to `stop`. `on_sent` is called on its own thread."""

    def __init__(
        self,
        addresses: Sequence[Address],
        *,
        supervisor: Supervisor | None = None,
        first_retry_s: float = _FIRST_RETRY_S,
    ) -> None:
        self.on_sent: Callable[[Notice], None] = lambda _notice: None
        self._supervisor = supervisor or Supervisor()
        self._queues = [_Queue(address, first_retry_s) for address in addresses]
        self._changed = threading.Condition()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="notifications", daemon=True)

    @property
    def statuses(self) -> list[AddressStatus]:
        return [queue.status for queue in self._queues]

    def start(self) -> None:
        self._thread.start()

    def put(self, notice: Notice) -> None:
        """Queue a notice; never waits. The oldest one goes where there are too many."""
        with self._changed:
            for queue in self._queues:
                if len(queue.notices) >= MAX_QUEUED:
                    queue.notices.popleft()
                    queue.dropped += 1
                queue.notices.append((time.monotonic(), notice))
            self._changed.notify_all()

    def stop(self) -> None:
        """End the thread, or leave it behind where a service does not answer."""
        self._stopping.set()
        with self._changed:
            self._changed.notify_all()
        self._thread.join(_JOIN_S)

    # The methods below run on the notifier's own thread.

    def _run(self) -> None:
        self._supervisor.run_here("notifications", self._send_all, self._stopping.wait)

    def _send_all(self) -> None:
        while not self._stopping.is_set():
            queue = self._wait()
            if queue is not None:
                self._send_next(queue)

    def _wait(self) -> _Queue | None:
        """Return a queue with a notice that is due, or None after waiting for one."""
        with self._changed:
            waiting = [queue for queue in self._queues if queue.notices]
            queue = min(waiting, key=lambda one: one.due_s, default=None)
            wait_s = None if queue is None else queue.due_s - time.monotonic()
            if queue is not None and wait_s is not None and wait_s <= 0:
                return queue
            if not self._stopping.is_set():
                self._changed.wait(wait_s)
        return None

    def _send_next(self, queue: _Queue) -> None:
        arrived_s, notice = queue.notices[0]
        try:
            queue.address.send(notice)
        except UnavailableError as e:
            queue.failed += 1
            queue.fault.failed(str(e))
            queue.due_s = time.monotonic() + queue.backoff.next_s()
            if time.monotonic() - arrived_s > _LONGEST_S:
                queue.dropped += self._take(queue, notice)
            return
        queue.backoff.reset()
        queue.due_s = 0.0
        queue.sent += 1
        queue.fault.worked()
        self._take(queue, notice)
        self.on_sent(notice)

    def _take(self, queue: _Queue, notice: Notice) -> bool:
        """Remove a notice, unless it made room for a newer one meanwhile."""
        with self._changed:
            if not queue.notices or queue.notices[0][1] is not notice:
                return False
            queue.notices.popleft()
            return True
