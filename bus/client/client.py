"""MQTT client that reconnects for ever, with back-off, and reads its login again each time.

Where the broker has several addresses, each connection that ends is followed by one to the next.

Each connection is a `Connection` of its own. Whatever must survive the end of one waits in the
node's outbox.
"""

import datetime as dt
import logging
import random
import ssl
import threading
import time
from collections.abc import Callable, Sequence

import msgspec

from bus.client import certificate_dates, credentials
from bus.client.addresses import Address, AddressRotation
from bus.client.backoff import reconnect_backoff
from bus.client.connection import MAX_QUEUED, Connection, ConnectionConfig, Events, OnMessage
from bus.client.link import WireMessage, wire_message
from bus.client.login import Login
from bus.contract.messages import Message, encode
from bus.contract.topics import Topic

logger = logging.getLogger(__name__)

_FLUSH_S = 2.0
_JOIN_S = 7.0
# So many connections in a row that each end sooner: two clients with one identifier end each
# other's, and each comes back within the longest pause.
_SHORT_ONES = 3
_SHORT_S = 40.0
# The longest pause before the next address, until each has been tried once.
_NEXT_ADDRESS_S = 1.0


def _ignore(*_: object) -> None:
    return


class BusClient:
    """A client of the broker at `address` (host, port), or at one of the `others` of its cluster.

    The callbacks run on paho's network thread; see `bus.client.connection`. `relogin` returns the
    addresses and the login to use from now on, or None to keep the present ones.
    """

    def __init__(  # noqa: PLR0913 - the parts of a connection; all but two have defaults
        self,
        address: Address,
        *,
        client_id: str,
        others: Sequence[Address] = (),
        login: Login | None = None,
        relogin: Callable[[], credentials.Connection | None] | None = None,
        keepalive_s: int = 15,
        filters: Sequence[str] = (),
        filter_qos: int = 1,
        sure_filters: Sequence[str] = (),
        on_message: OnMessage = _ignore,
        on_connect: Callable[[], None] = _ignore,
        on_disconnect: Callable[[str], None] = _ignore,
        on_acknowledged: Callable[[int], None] = _ignore,
        on_refused: Callable[[str], None] = _ignore,
        will: tuple[Topic, Message] | WireMessage | None = None,
        max_queued: int = MAX_QUEUED,
        keep_session: bool = False,
    ) -> None:
        """`max_queued` limits the messages of QoS 1 that the broker has not acknowledged.

        `sure_filters` are those of `filters` that have QoS 1 where `filter_qos` is 0.

        With `keep_session` the broker keeps subscriptions and messages while the client is away.
        """
        self._addresses = AddressRotation((address, *others))
        self._config = ConnectionConfig(
            address=address,
            client_id=client_id,
            keepalive_s=keepalive_s,
            filters=filters,
            filter_qos=filter_qos,
            sure_filters=frozenset(sure_filters),
            will=_wire_will(will),
            max_queued=max_queued,
            keep_session=keep_session,
        )
        self._events = Events(
            on_message=on_message,
            on_connect=self._handle_connect,
            on_disconnect=on_disconnect,
            on_acknowledged=on_acknowledged,
            on_refused=self._handle_refused,
        )
        self._on_connect = on_connect
        self._on_refused = on_refused
        self._login = login
        self._relogin = relogin
        self._backoff = reconnect_backoff(random.uniform)
        self._stopping = threading.Event()
        # When the present connection began, and how many short ones were before it.
        self._began_s = 0.0
        self._short_ones = 0
        # The last problem, and the last that was logged of each address. The client's thread and
        # paho's write them, but never both at a time: paho's runs while the client's only watches.
        self._problem = ""
        self._logged: dict[Address, str] = {}
        # The crossing between the client's thread, which replaces it, and all others, which read
        # it once a call. Made here, so that a bad certificate raises in the caller's thread.
        self._connection = self._make_connection()
        self._thread: threading.Thread | None = None

    @property
    def connected(self) -> bool:
        return self._connection.connected

    @property
    def address(self) -> Address:
        """The address of the broker that is connected, or tried."""
        return self._config.address

    @property
    def local_address(self) -> str:
        """The address of this end of the connection, empty where there is none."""
        return self._connection.local_address

    @property
    def in_flight(self) -> int:
        """The number of QoS 1 messages that the broker has not acknowledged on this connection."""
        return len(self._connection.in_flight)

    def start(self) -> None:
        """Connect in the background and stay connected. Returns at once."""
        self._stopping.clear()
        self._thread = threading.Thread(
            target=self._stay_connected, name=f"bus-{self._config.client_id}", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """Wait up to 2 s for the messages in flight, then disconnect. Calling it twice is fine."""
        if self._thread is None:
            return
        if self.connected:
            self._connection.in_flight.flush(time.monotonic() + _FLUSH_S)
        self._stopping.set()
        self._connection.end()
        self._thread.join(_JOIN_S)
        self._thread = None

    def publish(self, topic: Topic, message: Message) -> int | None:
        """Send a message as its channel says.

        Returns the packet id that `on_acknowledged` will name, or None where nothing was sent
        because the link is down.
        """
        return self.publish_payload(topic, encode(message))

    def publish_many(self, messages: Sequence[tuple[Topic, Message]]) -> int:
        """Send messages in their order at QoS 0; return how many were sent.

        Of the answers to nodes, one that is lost is asked for again with its readings. At QoS 1, a
        cluster of brokers agrees on each, which takes it longer than the readings themselves.
        """
        for count, (topic, message) in enumerate(messages):
            if self.publish_wire(WireMessage(str(topic), encode(message), qos=0)) is None:
                return count
        return len(messages)

    def publish_payload(self, topic: Topic, payload: bytes) -> int | None:
        """Send bytes as the topic's channel says; see `publish`."""
        return self.publish_wire(wire_message(topic, payload))

    def publish_wire(self, message: WireMessage) -> int | None:
        """Send a message on any topic; see `publish`."""
        return self._connection.publish(message)

    @property
    def problem(self) -> str:
        """The reason for which messages do not arrive, empty while they do."""
        refused = ", ".join(self._connection.refused_filters)
        refusal = refused and f"the broker refuses the subscription to {refused}"
        return self._problem or refusal or self._takeover

    @property
    def _takeover(self) -> str:
        """Connections that end again and again, as a sentence; empty where one lasts."""
        is_short = time.monotonic() - self._began_s < _SHORT_S
        if self._short_ones < _SHORT_ONES or not is_short:
            return ""
        host, port = self.address
        return (
            f"the broker at {host}:{port} ends each connection after seconds: expected no other "
            f"client with the identifier {self._config.client_id}"
        )

    # The client's own thread runs these.

    def _stay_connected(self) -> None:
        while not self._stopping.is_set():
            began_s = self._began_s = time.monotonic()
            was_connected = False
            try:
                was_connected = self._connect_once()
            except Exception:
                logger.exception("the bus client failed")
            lasted_s = time.monotonic() - began_s if was_connected else 0.0
            have_all_failed = self._addresses.advance(was_connected=was_connected)
            if self._stopping.is_set():
                return
            if was_connected:
                self._count_short(lasted_s)
            if was_connected or have_all_failed:
                self._stopping.wait(self._backoff.next_s(lasted_s))
            else:
                self._stopping.wait(random.uniform(0, _NEXT_ADDRESS_S))

    def _count_short(self, lasted_s: float) -> None:
        self._short_ones = self._short_ones + 1 if lasted_s < _SHORT_S else 0
        if self._short_ones == _SHORT_ONES:
            logger.error("%s", self._takeover)

    def _connect_once(self) -> bool:
        """Connect and stay until the link ends; return whether it was ever complete."""
        self._read_login_again()
        self._config = msgspec.structs.replace(
            self._config,
            address=self._addresses.current,
            has_others=self._addresses.has_others,
        )
        self._connection = connection = self._make_connection()
        try:
            # `stop` may have ended the connection before this one.
            if self._stopping.is_set() or not self._open(connection):
                return False
            connection.watch()
            return connection.was_connected
        finally:
            connection.close(disconnect=self._stopping.is_set())

    def _open(self, connection: Connection) -> bool:
        host, port = self._config.address
        try:
            connection.open()
        except ssl.SSLError as e:
            reason = certificate_dates.explain(e, self._config.address, dt.datetime.now(dt.UTC))
            self._log_problem(f"no trust in the broker at {host}:{port}: {reason}", logging.ERROR)
            return False
        except OSError as e:
            self._log_problem(f"no broker at {host}:{port} yet: {e.strerror or e}", logging.INFO)
            return False
        return True

    def _read_login_again(self) -> None:
        """Take the login and the addresses as they are now: no node has to be restarted."""
        try:
            found = self._relogin() if self._relogin is not None else None
        except Exception:
            logger.exception("a bus callback failed")
            return
        # Without a login the file is gone, and the present one is kept.
        if found is not None and found.login is not None:
            self._addresses.replace(found.addresses)
            self._login = found.login

    def _make_connection(self) -> Connection:
        return Connection(self._config, self._login, self._events)

    # paho's network thread runs these.

    def _handle_connect(self) -> None:
        self._problem = ""
        self._logged.clear()
        logger.info("connected to the broker at %s:%d", *self._config.address)
        self._on_connect()

    def _handle_refused(self, reason: str) -> None:
        host, port = self._config.address
        text = f"the broker at {host}:{port} refused the connection: {reason}"
        if self._log_problem(text, logging.ERROR):
            self._on_refused(reason)

    def _log_problem(self, text: str, level: int) -> bool:
        """Log why there is no connection, once for each reason; return whether it is a new one."""
        self._problem = text
        if text == self._logged.get(self._config.address):
            return False
        self._logged[self._config.address] = text
        logger.log(level, "%s", text)
        return True


def _wire_will(will: tuple[Topic, Message] | WireMessage | None) -> WireMessage | None:
    return wire_message(will[0], encode(will[1])) if isinstance(will, tuple) else will
