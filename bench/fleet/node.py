"""Virtual node of the fleet: raw MQTT frames, an outbox, a will, heartbeats and log lines.

It sends as `bus.outbox.sender` does: new readings at once, what is not stored after `LIVE_S` as
backlog, in at most four batches at a time, and again after `RESEND_S`.
"""

import asyncio
import itertools
import random
import secrets
import time
from collections.abc import Callable

import msgspec

from bench.raw_mqtt import frame, publish, subscribe
from bus.clock import now_ms
from bus.contract.messages import Heartbeat, Log, Message, PluginState, Status, Stored, encode
from bus.contract.topics import Topic, TopicKind
from bus.outbox.answer_time import AnswerTime
from tests.broker.embedded.raw import connect
from tests.default_descriptions import description_of
from tests.default_readings import AIR, HEALTH, ROOM

# All that they are described with, as what is missing is a fault.
SENSORS = {
    "dht22-gpio4": ROOM,
    "bme680-0x77": AIR | {"pressure_sea_level": 1019.0},
    "pi4-monitor": HEALTH,
}
LIVE_S = 6.0
RESEND_S = 15.0
_MAX_BATCHES = 4
_BATCH_ROWS = 500
_MAX_IN_FLIGHT = 20
_KEEP_ALIVE_S = 120
_LOG_EVERY = 15
_MOST_BACKOFF_S = 8.0
_CONNACK, _PUBLISH, _PUBACK, _SUBACK = 2, 3, 4, 9
_STORED = msgspec.json.Decoder(Stored)


class Totals:
    """Counters of all nodes of one process, and the seconds from a reading to its `stored`."""

    def __init__(self) -> None:
        self.created = 0
        self.stored = 0
        self.refused = 0
        self.connected = 0
        self.connects = 0
        self.took_s: list[float] = []
        # Of readings that waited at the start, from then on.
        self.old_took_s: list[float] = []


class FleetNode(asyncio.Protocol):
    """One node; its readings are of one stream, numbered from 0."""

    __slots__ = (
        *("name", "_token", "_totals", "_interval_s", "_transport", "_buffer", "_packet_ids"),
        *("_in_flight", "_outbox", "_live", "_batches", "_cursor", "_seq", "_cycles", "_loop"),
        *("_lines", "_birth", "_connect", "_is_ready", "_backoff_s", "_open", "_is_describing"),
        *("is_producing", "_old", "stream", "_began_s", "_answers"),
    )

    filter_qos = 1

    def __init__(  # noqa: PLR0913, PLR0917 - all that a node is made of
        self,
        name: str,
        token: str,
        interval_s: float,
        totals: Totals,
        open_connection: Callable[["FleetNode"], None],
        waiting: int,
    ) -> None:
        """`waiting` readings are in the outbox at the start."""
        self.name = name
        self.is_producing = True
        self._interval_s = interval_s
        self._totals = totals
        self._open = open_connection
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._is_ready = False
        self._is_describing = True
        self._backoff_s = 1.0
        self._buffer = b""
        self._packet_ids = itertools.cycle(range(1, 65_536))
        self._in_flight = 0
        # `seq` of what is not stored, with the time at which it was created.
        self._outbox: dict[int, float] = {}
        self._live: list[int] = []
        # Sent, and the `seq` of what is not stored of it.
        self._batches: list[tuple[float, set[int]]] = []
        self._cursor = -1
        self._answers = AnswerTime(LIVE_S)
        self._cycles = 0
        self._seq = 0
        self._prepare(token)
        now_s = self._began_s = time.monotonic()
        for _ in range(waiting):
            self._outbox[self._seq] = now_s - (waiting - self._seq) / len(SENSORS) * interval_s
            self._seq += 1
        self._old = waiting
        totals.created += waiting

    def _prepare(self, token: str) -> None:
        boot, stream = secrets.token_hex(8), secrets.token_hex(8)
        self.stream = stream
        status = Status("online", "spoke", "1", boot, now_ms(), self._interval_s)
        will = msgspec.structs.replace(status, state="offline")
        topic = f"harvester/{self.name}/status"
        self._connect = connect(
            self.name,
            username=self.name,
            password=token.encode(),
            keep_alive_s=_KEEP_ALIVE_S,
            will=(topic, encode(will), 1, True),
        )
        self._birth = (topic, encode(status))
        self._lines = []
        for sensor, data in SENSORS.items():
            values = msgspec.json.encode({**data}).decode()
            # The first value changes, the others are what the sensor always says.
            first, _, rest = values.partition(":")
            _, comma, rest = rest.partition(",")
            self._lines.append(
                (
                    f"harvester/{self.name}/readings/{sensor}",
                    (
                        f'{{"node":"{self.name}","sensor_id":"{sensor}","timestamp_ms":%d,'
                        f'"stream":"{stream}","seq":%d,"data":{first}:%.2f{comma}{rest},'
                        f'"plugin":"{sensor.partition("-")[0]}","boot_id":"{boot}",'
                        '"monotonic_ms":%d,"clock":"set"}'
                    ),
                )
            )

    def connect(self) -> None:
        self._open(self)

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]
        self._buffer = b""
        self._in_flight = 0
        self._batches = []
        self._cursor = -1
        self._answers.restart()
        self._write(self._connect)

    def connection_lost(self, _error: Exception | None) -> None:
        self._totals.connected -= self._is_ready
        self._transport, self._is_ready = None, False
        self.connect_later()

    def connect_later(self) -> None:
        """Connect again after a random pause, as the node's client does."""
        pause_s = random.uniform(0, self._backoff_s)
        self._backoff_s = min(2 * self._backoff_s, _MOST_BACKOFF_S)
        self._loop.call_later(pause_s, self._open, self)

    def data_received(self, data: bytes) -> None:
        data = self._buffer + data if self._buffer else data
        at, size = 0, len(data)
        while at < size:
            start, end = frame(data, at)
            if not end or end > size:
                break
            self._take(data[at] >> 4, data[at], data[start:end])
            at = end
        self._buffer = data[at:]

    def _take(self, kind: int, first: int, body: bytes) -> None:
        if kind == _PUBACK:
            self._in_flight -= 1
            self._send_due()
        elif kind == _PUBLISH:
            payload_at = 2 + int.from_bytes(body[:2])
            if first & 6:
                self._write(b"\x40\x02" + body[payload_at : payload_at + 2])
                payload_at += 2
            self._on_stored(_STORED.decode(body[payload_at:]))
        elif kind == _CONNACK:
            if body[1]:
                self._transport.abort()  # type: ignore[union-attr]
                return
            qos = self.filter_qos
            filters = [
                (f"harvester/{self.name}/+/cmd", qos),
                (f"harvester/{self.name}/stored", qos),
            ]
            self._write(subscribe(1, filters))
        elif kind == _SUBACK:
            self._on_ready()

    def _on_ready(self) -> None:
        self._totals.connected += 1
        self._totals.connects += 1
        self._is_ready, self._backoff_s = True, 1.0
        self._publish(*self._birth, 1, retain=True)
        if self._is_describing:
            self._is_describing = False
            self._describe()
        self._send_due()

    def _describe(self) -> None:
        for sensor in SENSORS:
            self._say(TopicKind.SENSOR, sensor, description_of(sensor))
            plugin = sensor.partition("-")[0]
            state = PluginState("running", "0" * 64, now_ms(), 0, "", now_ms())
            self._say(TopicKind.PLUGIN, plugin, state)

    def _say(self, kind: TopicKind, name: str, message: Message) -> None:
        topic = Topic(self.name, kind, name)
        channel = topic.channel
        self._publish(str(topic), encode(message), channel.qos, retain=channel.retain)

    def cycle(self) -> None:
        """Read every sensor, beat, and send what is due; then wait for the next cycle."""
        if self.is_producing:
            self._loop.call_later(self._interval_s, self.cycle)
            self._create(len(SENSORS))
        elif self._outbox:
            self._loop.call_later(self._interval_s, self.cycle)
        if not self._is_ready:
            return
        self._send_due()
        self._beat()

    def _create(self, count: int) -> None:
        """Put readings of the next sensors into the outbox."""
        now_s = time.monotonic()
        for _ in range(count):
            self._outbox[self._seq] = now_s
            self._live.append(self._seq)
            self._seq += 1
        self._totals.created += count

    def _beat(self) -> None:
        """Send a heartbeat, and now and then a log line."""
        self._cycles += 1
        beat = Heartbeat(self._cycles, 1.0, 40.0, 12.0, len(self._outbox), 0, now_ms())
        self._publish(f"harvester/{self.name}/heartbeat", encode(beat), 0)
        if self._cycles % _LOG_EVERY == 0:
            text = f"polled {self._cycles} times"
            self._say(TopicKind.LOG, "", Log(now_ms(), "info", "plugin:dht22", text))

    def _send_due(self) -> None:
        now_s = time.monotonic()
        while self._live and self._in_flight < _MAX_IN_FLIGHT:
            seq = self._live.pop(0)
            if now_s - self._outbox.get(seq, 0.0) < LIVE_S:
                topic, payload = self._line(seq, now_s)
                self._publish(topic, payload.encode(), 1, retain=True)
                self._answers.sent(seq, now_s)
        self._send_backlog(now_s)

    def _send_backlog(self, now_s: float) -> None:
        sent = [batch for batch in self._batches if batch[1] and now_s - batch[0] < RESEND_S]
        self._batches = sent
        if len(sent) >= _MAX_BATCHES or self._in_flight >= _MAX_IN_FLIGHT:
            return
        seqs = self._overdue(now_s)
        if not seqs:
            if not sent:
                self._cursor = -1
            return
        self._cursor = seqs[-1]
        payload = "[" + ",".join(self._line(seq, now_s)[1] for seq in seqs) + "]"
        self._publish(f"harvester/{self.name}/backlog", payload.encode(), 1)
        sent.append((now_s, set(seqs)))

    def _overdue(self, now_s: float) -> list[int]:
        """Return the oldest readings behind the cursor that are no longer live."""
        seqs: list[int] = []
        wait_s = self._answers.wait_s
        for seq, created_s in self._outbox.items():
            if now_s - created_s < wait_s or len(seqs) == _BATCH_ROWS:
                break
            if seq > self._cursor:
                seqs.append(seq)
        return seqs

    def _line(self, seq: int, now_s: float) -> tuple[str, str]:
        topic, line = self._lines[seq % len(SENSORS)]
        at_ms = now_ms() - round((now_s - self._outbox[seq]) * 1000)
        monotonic_ms = round(self._outbox[seq] * 1000)
        return topic, line % (at_ms, seq, 20 + seq % 500 / 100, max(0, monotonic_ms))

    def _on_stored(self, stored: Stored) -> None:
        now_s, totals = time.monotonic(), self._totals
        self._answers.stored(stored.ranges, now_s)
        for ranges, is_refused in ((stored.ranges, False), (stored.refused, True)):
            for first, last in ranges:
                for seq in range(first, last + 1):
                    created_s = self._outbox.pop(seq, None)
                    for _, waiting in self._batches:
                        waiting.discard(seq)
                    if created_s is None:
                        continue
                    if is_refused:
                        totals.refused += 1
                    else:
                        totals.stored += 1
                        if seq < self._old:
                            totals.old_took_s.append(now_s - self._began_s)
                        else:
                            totals.took_s.append(now_s - created_s)
        self._send_due()

    def _publish(self, topic: str, payload: bytes, qos: int, *, retain: bool = False) -> None:
        self._in_flight += qos
        packet_id = next(self._packet_ids) if qos else 0
        self._write(publish(topic, payload, qos, packet_id, retain=retain))

    def _write(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(data)
