"""Retained messages of the store: their rows, the source of some values, and the write throttle."""

import logging
import time
from collections.abc import Mapping

import msgspec

from broker.embedded.packets.properties import encode_properties
from broker.embedded.store.file import Row
from broker.embedded.store.rows import Rows, durable
from broker.embedded.store.write_throttle import INTERVAL_S, write_throttle
from broker.embedded.store.writer import Durable
from broker.embedded.topics.retained import Retained, owner_of
from broker.retained_source import RetainedSource
from bus.errors import UnavailableError

logger = logging.getLogger(__name__)


class RetainedRows:
    """Of the topics that `source` keeps, only their names are written."""

    def __init__(self, rows: Rows, topics: int, source: RetainedSource | None) -> None:
        self._rows = rows
        self._source = source
        # Retained topics of the source, each with a row without a payload.
        self._named: set[str] = set()
        # Rows to write at the start, by topic: those of an earlier version lose their payloads, and
        # those of values that are gone are deleted.
        self._at_start: dict[str, Row | None] = {}
        self._topics: set[str] = set()
        self._throttle = write_throttle(topics)
        # Rows that wait for `write_delayed`.
        self._delayed: dict[str, Row] = {}
        self._last_delayed_s = time.monotonic()

    @property
    def delayed(self) -> int:
        """The number of rows that wait for `write_delayed`."""
        return len(self._delayed)

    def load(self, found: list[Retained], now_ms: int) -> list[Retained]:
        """Take over the messages of the file; return them, those of the source with its values."""
        retained = self._with_values(found, now_ms)
        self._topics = {message.topic for message in retained} - self._named
        return retained

    def start(self) -> None:
        """Write what loading has changed."""
        at_start, self._at_start = self._at_start, {}
        for topic, row in at_start.items():
            self._rows.put("retained", (topic,), row)

    def put(self, topic: str, message: Retained | None) -> Durable | None:
        """Write a topic's retained message, or delete it where it is None.

        The future of one that is delayed is True at once: see `write_throttle`. None: nothing is
        written, as the source keeps the message.
        """
        if topic in self._named:
            if message is not None:
                return None
            self._named.discard(topic)
        elif message is not None and self._source is not None and self._source.keeps(topic):
            self._named.add(topic)
            self._rows.put("retained", (topic,), _row(message, b""), is_new=True)
            return None
        is_new = topic not in self._topics
        self._delayed.pop(topic, None)
        if message is None:
            self._topics.discard(topic)
            self._throttle.fill(topic)
            return self._rows.put("retained", (topic,), None, is_urgent=True)
        self._topics.add(topic)
        row = _row(message, message.payload)
        wait_s = self._throttle.take(topic, time.monotonic())
        if not self._rows.is_written or is_new or not wait_s:
            return self._rows.put("retained", (topic,), row, is_new=is_new, is_urgent=True)
        self._delayed[topic] = row
        return durable()

    def write_delayed(self, now_s: float) -> None:
        """Write the delayed rows, once in `INTERVAL_S`. `now_s` is monotonic."""
        if now_s - self._last_delayed_s >= INTERVAL_S:
            self._last_delayed_s = now_s
            self.put_delayed()

    def put_delayed(self) -> None:
        delayed, self._delayed = self._delayed, {}
        for topic, row in delayed.items():
            self._rows.put("retained", (topic,), row)

    def _with_values(self, rows: list[Retained], now_ms: int) -> list[Retained]:
        source = self._source
        if source is None:
            return rows
        self._named = {row.topic for row in rows if not row.payload or source.keeps(row.topic)}
        try:
            values = source.load(self._named)
        except UnavailableError as e:
            logger.error("%s: the broker starts without retained readings", e)  # noqa: TRY400 - a fault of the disk
            return [row for row in rows if row.topic not in self._named]
        found = (self._with_value(row, values, now_ms) for row in rows)
        return [value for value in found if value is not None]

    def _with_value(
        self, row: Retained, values: Mapping[str, bytes], now_ms: int
    ) -> Retained | None:
        if row.topic not in self._named:
            return row
        value = values.get(row.topic)
        if value is None:
            self._named.discard(row.topic)
            self._at_start[row.topic] = None
            return None
        if row.payload:
            self._at_start[row.topic] = _row(row, b"")
        return msgspec.structs.replace(row, payload=value, stored_ms=now_ms)


def _row(message: Retained, payload: bytes) -> Row:
    properties = encode_properties(message.properties) if payload else b""
    # Of a node's own topics it is in the topic.
    owner = "" if message.owner == owner_of(message.topic) else message.owner
    return message.topic, payload, message.qos, message.stored_ms, properties, owner
