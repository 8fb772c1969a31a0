"""Messages at QoS 1 that the broker has not acknowledged yet."""

import contextlib
import threading
import time
from collections import deque
from typing import Protocol


class Delivery(Protocol):
    """One published message, as paho's MQTTMessageInfo."""

    def is_published(self) -> bool: ...

    def wait_for_publish(self, timeout: float | None = None) -> None: ...


class InFlight:
    """The unacknowledged messages of one connection, at most `size` of them.

    Publishing threads call `add`, paho's network thread calls `acknowledged`, the connection's own
    thread calls the rest. Brokers acknowledge in the order of arrival (MQTT-4.6.0-2), so counting
    looks at the oldest alone.
    """

    def __init__(self, size: int) -> None:
        self._deliveries: deque[Delivery] = deque(maxlen=size)
        self._progress_s = 0.0
        # Held for a moment, and never while paho is called.
        self._lock = threading.Lock()

    def __len__(self) -> int:
        with self._lock:
            while self._deliveries and _is_over(self._deliveries[0]):
                self._deliveries.popleft()
            return len(self._deliveries)

    def add(self, delivery: Delivery, now_s: float) -> None:
        if not len(self):
            self._progress_s = now_s
        if not _is_over(delivery):
            with self._lock:
                self._deliveries.append(delivery)

    def acknowledged(self, now_s: float) -> None:
        """Note that the broker acknowledged one of them."""
        self._progress_s = now_s

    def stalled_s(self, now_s: float) -> float:
        """Return for how long the broker has owed an acknowledgement, 0 where it owes none."""
        return now_s - self._progress_s if len(self) else 0.0

    def flush(self, deadline_s: float) -> None:
        """Wait until all are acknowledged or the deadline, on the monotonic clock, is over."""
        for delivery in tuple(self._deliveries):
            remaining_s = deadline_s - time.monotonic()
            if remaining_s <= 0:
                return
            # Raises for a message that was never queued: there is nothing to wait for then.
            with contextlib.suppress(RuntimeError, ValueError):
                delivery.wait_for_publish(remaining_s)


def _is_over(delivery: Delivery) -> bool:
    """Return whether a message was acknowledged, or never sent."""
    try:
        return delivery.is_published()
    except (RuntimeError, ValueError):
        return True
