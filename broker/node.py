"""What any node says on the bus: its presence, readings, heartbeats, logs and states.

One sender thread drains the outbox, only while connected, with a bounded number in flight; every
other message goes out as it is said, or not at all while the link is down.
"""

import logging
import queue
import secrets
import threading
import time
from collections.abc import Callable, Sequence
from typing import Literal, Self

from broker import credentials
from broker.client import BusClient
from broker.errors import BadTopicError, MisconfiguredError
from broker.login import Login
from broker.messages import Heartbeat, Log, Message, Status, Value
from broker.node_log import NodeLog
from broker.outbox import Outbox
from broker.settings import Config
from broker.topics import Kind, Topic, parse
from broker.version import VERSION

logger = logging.getLogger(__name__)

_MAX_IN_FLIGHT = 20
_JOIN_S = 2.0

TopicPayload = Callable[[Topic, bytes], None]


def now_ms() -> int:
    """Return Unix time in milliseconds, UTC."""
    return time.time_ns() // 1_000_000


class NodeBus:
    """A node's side of the bus, from entering to leaving its context.

    Raises MisconfiguredError where its credentials are open to others, wrong or another node's.
    """

    def __init__(
        self,
        config: Config,
        *,
        filters: Sequence[str] = (),
        on_message: TopicPayload | None = None,
        on_connect: Callable[[], None] | None = None,
    ) -> None:
        self._config = config
        self._node = config.cluster.node_id
        self._boot_id = secrets.token_hex(8)
        self._started_ms = now_ms()
        self._started_s = time.monotonic()
        self._on_message = on_message
        self._on_connect = on_connect
        self._heartbeats = 0
        self._outbox = Outbox(self._node)
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._acknowledged: queue.SimpleQueue[int] = queue.SimpleQueue()
        self._log = NodeLog(self._publish_log)
        self._sender = threading.Thread(target=self._send_readings, name="outbox", daemon=True)
        self._connection = credentials.of_node(config)
        self._client = BusClient(
            self._connection.address,
            client_id=self._node,
            login=self._connection.login,
            relogin=self._read_login_again,
            keepalive_s=config.broker.keepalive_s,
            filters=filters,
            on_message=self._handle_message,
            on_connect=self._handle_connect,
            on_acknowledged=self._handle_acknowledged,
            on_refused=self._handle_refused,
            will=(Topic(self._node, Kind.STATUS), self._status("offline")),
        )

    def __enter__(self) -> Self:
        logging.getLogger().addHandler(self._log)
        self._sender.start()
        self._client.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._wake.set()
        self._sender.join(_JOIN_S)
        self.publish(Kind.STATUS, self._status("offline"))
        logging.getLogger().removeHandler(self._log)
        self._client.stop()

    @property
    def connected(self) -> bool:
        return self._client.connected

    def publish_reading(self, sensor_id: str, timestamp_ms: int, data: dict[str, Value]) -> None:
        """Put a reading into the outbox. Never waits; a sensor id that no topic holds is dropped.

        `data` holds finite numbers, strings and booleans; what was not measured is not in it.
        """
        try:
            Topic(self._node, Kind.READING, sensor_id)
        except BadTopicError as e:
            logger.warning("dropped a reading: %s", e)
            return
        self._outbox.add(sensor_id, timestamp_ms, data)
        self._wake.set()

    def publish(self, kind: Kind, message: Message, name: str = "") -> bool:
        """Say `message` on this node's topic now; return whether the link took it."""
        return self._client.publish(Topic(self._node, kind, name), message) is not None

    def heartbeat(self, *, cycle_ms: float, rss_mb: float) -> None:
        beat = Heartbeat(
            seq=self._heartbeats,
            uptime_s=round(time.monotonic() - self._started_s, 3),
            rss_mb=round(rss_mb, 1),
            cycle_ms=round(cycle_ms, 1),
            outbox_rows=self._outbox.rows,
            dropped=self._outbox.dropped,
            clock_ms=now_ms(),
        )
        self._heartbeats += 1
        self.publish(Kind.HEARTBEAT, beat)

    def _status(self, state: Literal["online", "offline"]) -> Status:
        cluster = self._config.cluster
        interval_s = self._config.polling.interval_seconds
        return Status(state, cluster.role, VERSION, self._boot_id, self._started_ms, interval_s)

    def _publish_log(self, line: Log) -> bool:
        return self.publish(Kind.LOG, line)

    # The five below run on paho's network thread.

    def _read_login_again(self) -> Login | None:
        """Return the login as its file has it by now, for the broker of this run."""
        try:
            found = credentials.of_node(self._config)
        except MisconfiguredError as e:
            logger.error("%s", e)  # noqa: TRY400 - a person mends this; the traceback tells nothing
            return None
        if not found.is_like(self._connection):
            # A token for a broker with TLS must not go to one without.
            logger.error("%s names another broker; restart the node to use it", found.file)
            return None
        return found.login

    def _handle_connect(self) -> None:
        self.publish(Kind.STATUS, self._status("online"))
        if self._on_connect is not None:
            self._on_connect()
        self._log.send_waiting()
        self._wake.set()

    def _handle_refused(self, _reason: str) -> None:
        logger.error("%s", self._connection.advice(self._node))

    def _handle_acknowledged(self, packet_id: int) -> None:
        self._acknowledged.put(packet_id)
        self._wake.set()

    def _handle_message(self, text: str, payload: bytes) -> None:
        try:
            topic = parse(text)
        except BadTopicError as e:
            logger.debug("ignored a message: %s", e)
            return
        if self._on_message is not None:
            self._on_message(topic, payload)

    def _send_readings(self) -> None:
        in_flight: dict[int, int] = {}
        while not self._stopping.is_set():
            self._wake.wait()
            self._wake.clear()
            self._settle(in_flight)
            while len(in_flight) < _MAX_IN_FLIGHT and self._send_next(in_flight):
                self._settle(in_flight)

    def _settle(self, in_flight: dict[int, int]) -> None:
        """Forget the readings that were acknowledged."""
        while not self._acknowledged.empty():
            seq = in_flight.pop(self._acknowledged.get(), None)
            if seq is not None:
                self._outbox.acknowledge(seq)

    def _send_next(self, in_flight: dict[int, int]) -> bool:
        if not self._client.connected:
            return False
        reading = self._outbox.take()
        if reading is None:
            return False
        topic = Topic(self._node, Kind.READING, reading.sensor_id)
        packet_id = self._client.publish(topic, reading)
        if packet_id is None:
            self._outbox.put_back(reading.seq)
            return False
        in_flight[packet_id] = reading.seq
        return True
