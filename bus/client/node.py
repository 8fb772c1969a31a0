"""A node's end of the bus: presence, readings, heartbeats, logs and states.

Readings go through the outbox, whose sender thread publishes them. Events are kept in RAM until the
broker has acknowledged them. Every other message is sent at once, or not at all while the link is
down.
"""

import logging
import math
import os
import secrets
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Literal, Self

import msgspec

from bus.client import credentials
from bus.client.client import BusClient
from bus.client.credentials import Connection
from bus.client.event_queue import EventQueue
from bus.client.link import wire_message
from bus.client.login import Login
from bus.client.node_log import NodeLog
from bus.clock import Clock, now_ms
from bus.config import directories
from bus.config.settings import Config
from bus.contract.bounds import LATEST_MS, MAX_ERROR_CHARS
from bus.contract.messages import (
    Event,
    Heartbeat,
    Message,
    PluginState,
    Reading,
    Result,
    Status,
    Stored,
    Value,
    check_data,
    decode,
    encode,
)
from bus.contract.topics import Topic, TopicKind, is_name, parse, topic_filter
from bus.errors import BadDataError, MisconfiguredError
from bus.fault import Fault
from bus.install.version import VERSION
from bus.install.vital_signs import VitalSigns
from bus.outbox.inbox import SenderInbox
from bus.outbox.outbox import Outbox, Sample
from bus.outbox.sender import Link, Sender

logger = logging.getLogger(__name__)

OUTBOX_FILE = "outbox.db"
# The bounds of a status; three cycles without a heartbeat, and the node is lost.
_SHORTEST_INTERVAL_S = 0.1
_LONGEST_INTERVAL_S = 3600.0
# The server of a cluster that a node has left publishes its last will after 1.5 of them.
_KEEPALIVES_UNTIL_WILL = 2

TopicPayload = Callable[[Topic, bytes], None]


class NodePublisher:
    """Publishes messages of one kind each on the topics of `node`. Any thread may call.

    Without `retain_readings` the broker keeps no reading.
    """

    def __init__(self, client: BusClient, node: str, *, retain_readings: bool = True) -> None:
        self._client = client
        self._node = node
        self._retain_readings = retain_readings

    def publish(self, kind: TopicKind, message: Message, name: str = "") -> bool:
        """Publish `message` now; return whether it was sent."""
        if isinstance(message, PluginState | Result) and len(message.error) > MAX_ERROR_CHARS:
            message = msgspec.structs.replace(message, error=message.error[:MAX_ERROR_CHARS])
        return self._client.publish(Topic(self._node, kind, name), message) is not None

    def publish_reading(self, reading: Reading) -> bool:
        """Publish `reading` now; return whether it was sent."""
        topic = Topic(self._node, TopicKind.READING, reading.sensor_id)
        message = wire_message(topic, encode(reading))
        if not self._retain_readings:
            message = msgspec.structs.replace(message, retain=False)
        return self._client.publish_wire(message) is not None

    def publish_event(self, sensor_id: str, event: Event) -> int | None:
        """Publish `event` now; return its packet id, None where it was not sent."""
        return self._client.publish(Topic(self._node, TopicKind.EVENT, sensor_id), event)

    def clear(self, kind: TopicKind, name: str = "") -> bool:
        """Empty a retained topic now; return whether that was sent."""
        return self._client.publish_payload(Topic(self._node, kind, name), b"") is not None

    def link(self) -> Link:
        """Return the connection as the sender of readings needs it."""
        return Link(
            is_connected=lambda: self._client.connected,
            in_flight=lambda: self._client.in_flight,
            publish_reading=self.publish_reading,
            publish_backlog=lambda b: self.publish(TopicKind.BACKLOG, b),
        )


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
        clock: Clock | None = None,
    ) -> None:
        self._config = config
        self._node = config.cluster.node_id
        self._boot_id = secrets.token_hex(8)
        self._started_ms = now_ms()
        self._started_s = time.monotonic()
        self._on_message = on_message
        self._on_connect = on_connect
        self._heartbeats = 0
        # When to say again that this node is online; never with a single broker.
        self._online_again_s = math.inf
        self._connection = credentials.of_node(config)
        self._credentials_fault = Fault("credentials", level=logging.ERROR)
        self._outbox = _open_outbox(config, clock or Clock())
        self._inbox = SenderInbox()
        # Its callbacks run only once `__enter__` has started it.
        self._client = BusClient(
            self._connection.address,
            others=self._connection.addresses[1:],
            client_id=self._node,
            login=self._connection.login,
            relogin=self._read_login_again,
            keepalive_s=config.broker.keepalive_s,
            filters=(*filters, topic_filter(TopicKind.STORED, self._node)),
            filter_qos=config.broker.subscribe_qos,
            on_message=self._handle_message,
            on_connect=self._handle_connect,
            on_acknowledged=self._handle_acknowledged,
            on_refused=self._handle_refused,
            will=(Topic(self._node, TopicKind.STATUS), self._status("offline")),
        )
        self._publisher = NodePublisher(
            self._client, self._node, retain_readings=config.broker.retain_readings
        )
        self._sender = Sender(self._outbox, self._inbox, config.outbox, self._publisher.link())
        self._events = EventQueue(self._publisher.publish_event)
        self._log = NodeLog(partial(self._publisher.publish, TopicKind.LOG))

    def __enter__(self) -> Self:
        logging.getLogger().addHandler(self._log)
        self._sender.start()
        self._client.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._sender.stop()
        self.publish(TopicKind.STATUS, self._status("offline"))
        logging.getLogger().removeHandler(self._log)
        self._client.stop()
        self._outbox.close()

    @property
    def connected(self) -> bool:
        return self._client.connected

    def publish_reading(self, sensor_id: str, timestamp_ms: int, data: dict[str, Value]) -> None:
        """Put one reading into the outbox; see `publish_readings`."""
        self.publish_readings([Sample(sensor_id, timestamp_ms, data)])

    def publish_readings(self, samples: Sequence[Sample], plugin: str = "") -> None:
        """Put the readings of one poll into the outbox, in one commit to RAM.

        Once this returns they survive the death of this process. `data` holds finite numbers,
        strings and booleans; a value that was not measured is absent. A reading that the hub would
        refuse (see `bus.contract.bounds`) is dropped with a warning.
        """
        fitting = [sample for sample in samples if _fits(sample)]
        if fitting:
            self._outbox.add(fitting, plugin)
            self._inbox.wake()

    def publish_event(self, sensor_id: str, event: Event) -> None:
        """Publish `event`, now or when the link is back; see `bus.client.event_queue`."""
        self._events.put(sensor_id, event)

    def publish(self, kind: TopicKind, message: Message, name: str = "") -> bool:
        """Publish `message` on this node's topic now; return whether it was sent."""
        return self._publisher.publish(kind, message, name)

    def clear(self, kind: TopicKind, name: str = "") -> bool:
        """Empty a retained topic of this node now; return whether that was sent."""
        return self._publisher.clear(kind, name)

    @property
    def bundle_key(self) -> bytes:
        """The public key of the hub's signatures of bundles, empty without one."""
        return self._connection.bundle_key

    @property
    def broker_host(self) -> str:
        """The host of the broker that is connected, or tried."""
        return self._client.address[0]

    @property
    def login(self) -> Login | None:
        """The login at the broker, None where there are no credentials."""
        return self._connection.login

    @property
    def local_address(self) -> str:
        """The address of this end of the connection to the broker, empty where there is none."""
        return self._client.local_address

    def vital_signs(self, *, faults: int, loading: int = 0) -> VitalSigns:
        """Return what an update of this node is judged by."""
        return VitalSigns(self._sender.stored, faults, loading, int(self.connected))

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
        self.publish(TopicKind.HEARTBEAT, beat)
        if time.monotonic() >= self._online_again_s:
            self._online_again_s = math.inf
            self.publish(TopicKind.STATUS, self._status("online"))
        self._events.send_waiting()

    def _status(self, state: Literal["online", "offline"]) -> Status:
        cluster = self._config.cluster
        wanted_s = self._config.polling.interval_seconds
        interval_s = min(max(wanted_s, _SHORTEST_INTERVAL_S), _LONGEST_INTERVAL_S)
        role: Literal["hub", "spoke"] = "hub" if cluster.role == "hub" else "spoke"
        return Status(state, role, VERSION, self._boot_id, self._started_ms, interval_s)

    # paho's network thread runs these, once the client has been started.

    def _read_login_again(self) -> Connection | None:
        """Return the address and the login that the credentials file has now, if it is usable."""
        try:
            found = credentials.of_node(self._config)
            credentials.check_secrecy(self._connection, found)
        except MisconfiguredError as e:
            self._credentials_fault.failed(str(e))
            return None
        self._credentials_fault.worked()
        if found.login is None:
            return None
        if found.addresses != self._connection.addresses:
            logger.warning("%s names another broker: %s:%d", found.file, *found.address)
        self._connection = found
        return found

    def _handle_acknowledged(self, packet_id: int) -> None:
        self._events.acknowledged(packet_id)
        self._inbox.wake()

    def _handle_connect(self) -> None:
        self._events.connected()
        self.publish(TopicKind.STATUS, self._status("online"))
        if len(self._connection.addresses) > 1:
            # Another server may still publish the last will, over this status.
            delay_s = _KEEPALIVES_UNTIL_WILL * self._config.broker.keepalive_s
            self._online_again_s = time.monotonic() + delay_s
        if self._on_connect is not None:
            self._on_connect()
        self._log.send_waiting()
        self._inbox.wake()

    def _handle_refused(self, _reason: str) -> None:
        logger.error("%s", self._connection.advice(self._node))

    def _handle_message(self, text: str, payload: bytes) -> None:
        try:
            topic = parse(text)
            if topic.kind is TopicKind.STORED:
                self._handle_stored(topic, payload)
                return
        except BadDataError as e:
            logger.debug("ignored a message: %s", e)
            return
        if self._on_message is not None:
            self._on_message(topic, payload)

    def _handle_stored(self, topic: Topic, payload: bytes) -> None:
        message = decode(topic, payload)
        if isinstance(message, Stored):
            self._inbox.put_stored(message)


def _open_outbox(config: Config, clock: Clock) -> Outbox:
    ram, disk = (
        folder(config, os.environ) / OUTBOX_FILE
        for folder in (directories.runtime_dir, directories.state_dir)
    )
    return Outbox(config.cluster.node_id, config.outbox, ram, disk, clock)


def _fits(sample: Sample) -> bool:
    reason = "expected a name and a time until the year 2200"
    try:
        if is_name(sample.sensor_id) and 0 <= sample.timestamp_ms <= LATEST_MS:
            check_data(sample.data)
            return True
    except BadDataError as e:
        reason = str(e)
    logger.warning(
        *("dropped a reading of %.80r at %.30r: %s", sample.sensor_id, sample.timestamp_ms, reason)
    )
    return False
