"""Means of heartbeats: a node's cycle, outbox and memory over time, in buckets of 5 minutes.

A heartbeat is no reading: it has no sequence number and is not sent again. Its means are stored
beside those of the readings, below a name that no sensor can have.
"""

import sqlite3
from collections.abc import Iterable, Iterator

import msgspec

from bus.contract.messages import Heartbeat
from hub_app.history.names import Names, id_of
from hub_app.history.retention.downsample import Stats, grown, write_mean
from hub_app.history.schema import bucket_of, pack

# A name on the bus has no underscore.
SENSOR = "_heartbeat"
FIELDS = ("cycle_ms", "outbox_rows", "rss_mb")
# Each is stored so often, merged with what its bucket has already.
_EVERY_MS = 60_000


class HeartbeatMeans(msgspec.Struct, frozen=True, gc=False):
    """Count, sum, minimum and maximum of each of `FIELDS`, of one node in a part of a bucket."""

    node: str
    bucket_ms: int
    stats: tuple[Stats, ...]


class HeartbeatDownsampler:
    """Collects heartbeats of at most `most_nodes` nodes until their means are due. Pure."""

    def __init__(self, most_nodes: int) -> None:
        self._most_nodes = most_nodes
        # Node -> when its means are due, and these.
        self._collected: dict[str, tuple[int, HeartbeatMeans]] = {}
        self._ended: list[HeartbeatMeans] = []

    def add(self, node: str, heartbeat: Heartbeat, now_ms: int) -> None:
        values = [float(getattr(heartbeat, field)) for field in FIELDS]
        due_ms, known = self._collected.get(node, (now_ms + _EVERY_MS, None))
        if known is None and len(self._collected) >= self._most_nodes:
            return
        if known is not None and known.bucket_ms != bucket_of(now_ms):
            self._ended.append(known)
            due_ms, known = now_ms + _EVERY_MS, None
        former = known.stats if known else (None,) * len(FIELDS)
        stats = tuple(map(grown, former, values))
        self._collected[node] = (due_ms, HeartbeatMeans(node, bucket_of(now_ms), stats))

    def take(self, now_ms: int, *, is_last: bool = False) -> list[HeartbeatMeans]:
        """Return the means that are due, at the end all of them, and forget them."""
        due = [
            node
            for node, (due_ms, means) in self._collected.items()
            if is_last or now_ms >= due_ms or bucket_of(now_ms) != means.bucket_ms
        ]
        taken, self._ended = [*self._ended, *(self._collected.pop(node)[1] for node in due)], []
        return taken


def write(db: sqlite3.Connection, names: Names, collected: Iterable[HeartbeatMeans]) -> None:
    """Store means within a transaction; those of a node that was removed meanwhile are dropped."""
    shape, _ = pack(dict.fromkeys(FIELDS, 0))
    for means in collected:
        if not db.execute("SELECT 1 FROM node WHERE name = ?", (means.node,)).fetchone():
            continue
        sensor = names.sensor(means.node, SENSOR, "")
        names.note_shape(sensor, names.shape(shape))
        for field, stats in _by_field(db, means):
            write_mean(db, (sensor, field, means.bucket_ms), stats)


def _by_field(db: sqlite3.Connection, means: HeartbeatMeans) -> Iterator[tuple[int, Stats]]:
    for name, stats in zip(FIELDS, means.stats, strict=True):
        yield id_of(db, "field", name=name), stats
