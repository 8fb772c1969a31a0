"""Refused messages: counted per node and reason, logged once a minute."""

import enum
import logging
import threading
import time
from collections.abc import Callable

from bus.limited_log import LimitedLog

logger = logging.getLogger(__name__)

OTHER_NODES = "(other)"


class Reason(enum.StrEnum):
    """Reasons for a refusal; but for the first, each is a quota of the [limits] table."""

    MALFORMED = "malformed"
    NODES = "nodes"
    SENSORS = "sensors"
    PLUGINS = "plugins"
    ACTUATORS = "actuators"
    ALARMS = "alarms"
    LIVE_KB = "live_kb"
    LOG_LINES = "log_lines_per_minute"
    EVENTS = "events_per_minute"
    STREAMS = "streams"
    FIELD_SETS = "field_sets"
    HISTORY_MB = "history_mb_per_day"


class Refusals:
    """Counts of refused messages. Any thread may call.

    `most_nodes` nodes are counted one by one; all others count together.
    """

    def __init__(
        self, monotonic_s: Callable[[], float] = time.monotonic, *, most_nodes: int = 1000
    ) -> None:
        self._most_nodes = most_nodes
        self._lock = threading.Lock()
        self._counts: dict[str, dict[str, int]] = {}
        self._changed: set[str] = set()
        self._log = LimitedLog(logger, monotonic_s=monotonic_s)

    @property
    def total(self) -> int:
        with self._lock:
            return sum(sum(counts.values()) for counts in self._counts.values())

    def count(self, node: str, reason: Reason, detail: str, number: int = 1) -> None:
        """Count `number` refused messages of a node. `detail` is logged."""
        with self._lock:
            if node not in self._counts and len(self._counts) >= self._most_nodes:
                node = OTHER_NODES
            counts = self._counts.setdefault(node, {})
            counts[reason] = counts.get(reason, 0) + number
            so_far = counts[reason]
            self._changed.add(node)
        self._log.warning(
            f"{node} {reason}",
            "refused a message of %s, %d so far for %s: %.300s",
            *(node, so_far, reason, detail),
        )

    def of(self, node: str) -> dict[str, int]:
        """Return the number of refused messages of a node by reason."""
        with self._lock:
            return dict(self._counts.get(node, {}))

    def every(self) -> dict[str, dict[str, int]]:
        """Return the counts of every node."""
        with self._lock:
            return {node: dict(counts) for node, counts in self._counts.items()}

    def take_changed(self) -> set[str]:
        """Return the nodes whose counts changed since the last call."""
        with self._lock:
            changed, self._changed = self._changed, set()
        return changed

    def forget(self, node: str) -> None:
        """Forget the counts of a node that is gone."""
        with self._lock:
            self._counts.pop(node, None)

    def sweep(self) -> None:
        """Log how many lines were held back; see `LimitedLog.sweep`."""
        self._log.sweep()
