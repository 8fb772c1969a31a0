"""Readings that are older than what is kept of them, already when they arrive.

They are stored as any other, and deleted with the next expiry; only their means stay. A node whose
clock is far behind, although it says that it is set, sends nothing else, so this is told.
"""

import logging
from collections.abc import Iterable

import msgspec

from bus.clock import DAY_MS
from bus.config.history_table import HistoryConfig
from bus.contract.messages import Reading

logger = logging.getLogger(__name__)

# Told for so long after the last one; one that arrives later is logged again.
_TOLD_MS = DAY_MS
_MOST_NODES = 1000


class _Old(msgspec.Struct, frozen=True):
    """Arrival of a node's last old reading, and its age then."""

    arrived_ms: int
    age_ms: int


class OldReadings:
    """Last old reading of each node. `note` is called by one thread, `sentence` by any."""

    def __init__(self, settings: HistoryConfig) -> None:
        self._settings = settings
        self._nodes: dict[str, _Old] = {}

    def note(self, readings: Iterable[Reading], now_ms: int) -> None:
        """Note those of the stored readings that are older than `raw_days`; log the first."""
        before_ms = now_ms - self._settings.raw_days * DAY_MS
        for reading in readings:
            # One whose clock is not set yet is kept, and dated when it is.
            if reading.timestamp_ms < before_ms and reading.clock != "unset":
                self._note(reading, now_ms)

    def sentence(self, node: str, now_ms: int) -> str:
        """Return what became of the old readings of a node, empty where none arrived lately."""
        old = self._nodes.get(node)
        if old is None or now_ms - old.arrived_ms > _TOLD_MS:
            return ""
        if old.age_ms > self._settings.mean_days * DAY_MS:
            what = f"nothing of them is kept (history.mean_days is {self._settings.mean_days:g})"
        else:
            what = f"only their means are kept (history.raw_days is {self._settings.raw_days:g})"
        return (
            f"readings arrived that were {old.age_ms / DAY_MS:.0f} days old by the hub's clock: "
            f"{what}; is the clock of the node right?"
        )

    def _note(self, reading: Reading, now_ms: int) -> None:
        node = reading.node
        is_told = bool(self.sentence(node, now_ms))
        if node not in self._nodes and len(self._nodes) >= _MOST_NODES:
            del self._nodes[next(iter(self._nodes))]
        self._nodes[node] = _Old(now_ms, now_ms - reading.timestamp_ms)
        if not is_told:
            logger.warning("%s: %s", node, self.sentence(node, now_ms))
