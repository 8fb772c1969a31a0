"""One MQTT connection, from its CONNECT until its link ends. The only module that knows paho.

Threads: the client's own thread connects, watches and closes; any thread publishes; paho's network
thread runs the callbacks, and an exception in one is caught and logged here. paho holds its message
lock while it reports an acknowledgement, and takes that lock to publish: `on_acknowledged` must not
wait for a lock that its owner holds around `publish`.
"""

import contextlib
import logging
import random
import socket
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from bus.client.backoff import Backoff
from bus.client.in_flight import InFlight
from bus.client.link import WireMessage
from bus.client.login import Login, tls_context
from bus.contract.topics import ROOT, is_command

logger = logging.getLogger(__name__)

_CONNECT_S = 5.0
_GOODBYE_S = 0.5
# For the broker to read all that was sent.
_READ_S = 2.0
# A filter to which no client subscribes, so that to unsubscribe from it changes nothing.
_UNUSED_FILTER = f"{ROOT}/-/end"
MAX_QUEUED = 100
# Interval of the check that paho's thread lives and the broker still answers.
_WATCH_S = 0.5
# paho notices a silent broker after one keep-alive; this is for when paho's own thread is stuck.
_KEEPALIVES_WITHOUT_ANSWER = 2

# Between two requests for a subscription that was refused: at random, up to a bound that grows.
RESUBSCRIBE_FIRST_S = 1.0
RESUBSCRIBE_LAST_S = 30.0

OnMessage = Callable[[str, bytes], None]


def _ignore(*_: object) -> None:
    return


class ConnectionConfig(msgspec.Struct, frozen=True, kw_only=True):
    """The contents of a CONNECT, and the topic filters to subscribe to."""

    address: tuple[str, int]
    client_id: str
    keepalive_s: int
    filters: Sequence[str] = ()
    filter_qos: int = 1
    # Those of the filters that have QoS 1 in any case.
    sure_filters: frozenset[str] = frozenset()
    will: WireMessage | None = None
    # Messages of QoS 1 that the broker has not acknowledged.
    max_queued: int = MAX_QUEUED
    # The broker keeps subscriptions, and messages of QoS 1, while this client is away.
    keep_session: bool = False
    # The client goes on to another address where this one does not answer the CONNECT.
    has_others: bool = False

    def patience_s(self, *, is_connected: bool) -> float:
        """Return how long to wait for an answer of the broker before the connection is given up."""
        keepalives = 1 if self.has_others and not is_connected else _KEEPALIVES_WITHOUT_ANSWER
        return float(keepalives * self.keepalive_s)

    def with_qos(self, filters: Sequence[str]) -> list[tuple[str, int]]:
        """Return filters with the QoS to ask for."""
        sure = self.sure_filters
        return [(text, 1 if text in sure else self.filter_qos) for text in filters]


class Events(msgspec.Struct, frozen=True, kw_only=True):
    """Callbacks of a connection, on paho's network thread.

    `on_wire_message`, where it is given, gets every message with its retain flag, in place of
    `on_message`. `on_subscribed` answers a call of `subscribe` with the filters that were refused,
    `on_unsubscribed` one of `unsubscribe`.
    """

    on_message: OnMessage = _ignore
    on_connect: Callable[[], None] = _ignore
    on_disconnect: Callable[[str], None] = _ignore
    on_acknowledged: Callable[[int], None] = _ignore
    on_refused: Callable[[str], None] = _ignore
    on_wire_message: Callable[[WireMessage], None] | None = None
    on_subscribed: Callable[[list[str]], None] = _ignore
    on_unsubscribed: Callable[[], None] = _ignore


class Connection:
    """A paho client that is used for one connection.

    Messages that were in flight when the link broke are thus never sent again behind newer ones.
    Raises OSError or ValueError where the login's certificate or key cannot be used.
    """

    def __init__(self, config: ConnectionConfig, login: Login | None, events: Events) -> None:
        self._config = config
        self._events = events
        self.in_flight = InFlight(config.max_queued)
        # Stays True when the link has ended.
        self.was_connected = False
        self._is_closing = False
        self._more_filters: Sequence[str] = ()
        # Filters of the configuration that the broker has refused, and when to ask for them again.
        self._refused: list[str] = []
        self._asked: list[str] = []
        self._ask_at_s = 0.0
        self._ask_backoff = Backoff(RESUBSCRIBE_FIRST_S, RESUBSCRIBE_LAST_S, draw=random.uniform)
        # Set by paho's thread, read by all others: the broker took the CONNECT and the filters.
        self._connected = threading.Event()
        self._ended = threading.Event()
        self._unsubscribed = threading.Event()
        self._paho = self._make_paho(login)

    @property
    def connected(self) -> bool:
        return self._connected.is_set()

    @property
    def refused_filters(self) -> list[str]:
        """Filters of the configuration that the broker refuses; they are asked for again."""
        return list(self._refused)

    @property
    def local_address(self) -> str:
        """The address of this end of the connection, empty where there is none."""
        sock = self._paho.socket()
        try:
            return str(sock.getsockname()[0]) if isinstance(sock, socket.socket) else ""
        except (OSError, LookupError):
            return ""

    def publish(self, message: WireMessage) -> int | None:
        """Send a message; return the packet id, None if it was not sent."""
        if not self.connected:
            return None
        try:
            info = self._paho.publish(message.topic, message.payload, message.qos, message.retain)
        except OSError:
            # Another thread has closed the link meanwhile.
            return None
        if info.rc != MQTTErrorCode.MQTT_ERR_SUCCESS:
            return None
        if message.qos > 0:
            self.in_flight.add(info, time.monotonic())
        return info.mid

    def subscribe(self, filters: Sequence[str]) -> None:
        """Subscribe to more filters, one call at a time; `on_subscribed` tells what is refused."""
        self._more_filters = filters
        self._paho.subscribe([(text, 1) for text in filters])

    def unsubscribe(self, text_filter: str) -> None:
        self._paho.unsubscribe(text_filter)

    # The client's own thread runs these.

    def open(self) -> None:
        """Send a CONNECT and start paho's thread. Raises OSError, of which ssl.SSLError is one."""
        self._paho.connect(*self._config.address, self._config.keepalive_s)
        self._paho.loop_start()

    def watch(self) -> None:
        """Return when the link has ended, or has to: no answer, no thread, or `end` was called."""
        began_s = time.monotonic()
        while not self._ended.wait(_WATCH_S):
            self._ask_again(time.monotonic())
            if self._paho._thread is None:  # noqa: SLF001 - paho has no event for a thread that died
                logger.error("paho's thread has ended: connecting anew")
                return
            now_s, is_connected = time.monotonic(), self.connected
            silent_s = self.in_flight.stalled_s(now_s) if is_connected else now_s - began_s
            patience_s = self._config.patience_s(is_connected=is_connected)
            if silent_s > patience_s:
                logger.warning(
                    "the broker has not answered for %.0f s: connecting anew", patience_s
                )
                return

    def _ask_again(self, now_s: float) -> None:
        """Subscribe to what was refused: a broker may refuse under load, or be set right."""
        # An answer to `subscribe` would be taken for the answer to this.
        is_due = self._refused and not self._more_filters and now_s >= self._ask_at_s
        if is_due and self.connected:
            # In case that no answer comes.
            self._ask_at_s = now_s + RESUBSCRIBE_LAST_S
            self._asked = list(self._refused)
            self._paho.subscribe(self._config.with_qos(self._asked))

    def end(self) -> None:
        """Let `watch` return. Any thread may call."""
        self._ended.set()

    def close(self, *, disconnect: bool) -> None:
        """End the link and paho's thread, whatever state they are in.

        With `disconnect` the broker gets a DISCONNECT, so that it does not publish the last will.
        """
        self._is_closing = True
        if disconnect and self.connected:
            self._wait_until_read()
            self._ended.clear()
            self._paho.disconnect()
            self._ended.wait(_GOODBYE_S)
        sock = self._paho.socket()
        if isinstance(sock, socket.socket):
            # paho's thread does not end while messages wait, other than for a dead link.
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        self._paho.loop_stop()
        self._connected.clear()
        self._release_callbacks()
        close_wakeup_sockets(self._paho)

    def _wait_until_read(self) -> None:
        """Wait until the broker has read what was sent: it answers packets in their order.

        A socket that is closed before all that has come is read resets the connection. The broker
        then loses what it has not read yet, messages of QoS 0 for good.
        """
        self._unsubscribed.clear()
        result, _ = self._paho.unsubscribe(_UNUSED_FILTER)
        if result == MQTTErrorCode.MQTT_ERR_SUCCESS:
            self._unsubscribed.wait(_READ_S)

    def _make_paho(self, login: Login | None) -> paho.Client:
        made = paho.Client(
            CallbackAPIVersion.VERSION2,
            client_id=self._config.client_id,
            clean_session=not self._config.keep_session,
            protocol=paho.MQTTv311,
            reconnect_on_failure=False,
        )
        made.suppress_exceptions = True
        made.connect_timeout = _CONNECT_S
        made.max_queued_messages_set(self._config.max_queued)
        made.on_socket_open = _disable_nagle
        made.on_connect = self._on_connect
        made.on_subscribe = self._on_subscribe
        made.on_unsubscribe = self._on_unsubscribe
        made.on_disconnect = self._on_disconnect
        made.on_message = self._on_message
        made.on_publish = self._on_publish
        if login is not None:
            _set_login(made, login)
        will = self._config.will
        if will is not None:
            made.will_set(will.topic, will.payload, will.qos, will.retain)
        return made

    def _release_callbacks(self) -> None:
        """Break the reference cycle, so that paho's sockets are closed at once."""
        client = self._paho
        client.on_connect = client.on_subscribe = client.on_disconnect = None
        client.on_message = client.on_publish = client.on_unsubscribe = None

    # paho's network thread runs these.

    def _on_connect(
        self,
        client: paho.Client,
        _userdata: Any,
        _flags: paho.ConnectFlags,
        reason: ReasonCode,
        _properties: Properties | None,
    ) -> None:
        if reason.is_failure:
            _call(self._events.on_refused, str(reason))
        elif self._config.filters:
            # Connected means that messages arrive, too: `_on_subscribe` completes it.
            client.subscribe(self._config.with_qos(self._config.filters))
        else:
            self._complete()

    def _on_subscribe(
        self,
        _client: paho.Client,
        _userdata: Any,
        _mid: int,
        codes: list[ReasonCode],
        _properties: Properties | None,
    ) -> None:
        if self.connected and self._asked:
            asked, self._asked = self._asked, []
            self._note_refused(asked, codes)
            return
        if self.connected:
            more, self._more_filters = self._more_filters, ()
            refused = [text for text, _ in _refusals(more, codes)]
            _call(self._events.on_subscribed, refused)
            return
        self._note_refused(self._config.filters, codes)
        self._complete()

    def _note_refused(self, filters: Sequence[str], codes: list[ReasonCode]) -> None:
        """Keep the filters that were refused, to ask again; log each change."""
        before = set(self._refused)
        found = _refusals(filters, codes)
        self._refused = [text for text, _ in found]
        self._ask_at_s = time.monotonic() + self._ask_backoff.next_s()
        for text, reason in found:
            if text not in before:
                logger.error(
                    "the broker at %s:%d refused the subscription to %s: %s; it is asked again",
                    *(*self._config.address, text, reason),
                )
        for text in before - set(self._refused):
            logger.info(
                "the broker at %s:%d took the subscription to %s", *self._config.address, text
            )

    def _on_unsubscribe(self, *_: Any) -> None:
        self._unsubscribed.set()
        _call(self._events.on_unsubscribed)

    def _complete(self) -> None:
        if not self._is_closing:
            self.was_connected = True
            self._connected.set()
            _call(self._events.on_connect)

    def _on_disconnect(
        self,
        _client: paho.Client,
        _userdata: Any,
        _flags: paho.DisconnectFlags,
        reason: ReasonCode,
        _properties: Properties | None,
    ) -> None:
        if self.connected and not self._is_closing:
            logger.warning("lost the broker at %s:%d: %s", *self._config.address, _words(reason))
        self._connected.clear()
        _call(self._events.on_disconnect, _words(reason))
        self._ended.set()

    def _on_message(self, _client: paho.Client, _userdata: Any, message: paho.MQTTMessage) -> None:
        try:
            topic = message.topic
        except UnicodeDecodeError:
            logger.warning("dropped a message whose topic is not UTF-8")
            return
        if self._events.on_wire_message is not None:
            wire = WireMessage(topic, bytes(message.payload), message.qos, message.retain)
            _call(self._events.on_wire_message, wire)
            return
        if message.retain and is_command(topic):
            # It would be executed again at every reconnection.
            logger.warning("ignored a retained command on %s; publish commands unretained", topic)
            return
        _call(self._events.on_message, topic, message.payload)

    def _on_publish(
        self, _client: paho.Client, _userdata: Any, mid: int, _reason: Any, _properties: Any
    ) -> None:
        self.in_flight.acknowledged(time.monotonic())
        _call(self._events.on_acknowledged, mid)


def close_wakeup_sockets(client: paho.Client) -> None:
    """Close the pair that wakes paho's thread; paho leaves that to the garbage collector."""
    for end in (client._sockpairR, client._sockpairW):  # noqa: SLF001 - no method for it
        if end is not None:
            end.close()


def _refusals(filters: Sequence[str], codes: Sequence[ReasonCode]) -> list[tuple[str, str]]:
    """Return the filters that a SUBACK does not grant, with the reason.

    A filter without a code of its own is not granted either.
    """
    reasons = [str(code) if code.is_failure else "" for code in codes]
    reasons += ["the broker gave no answer"] * (len(filters) - len(reasons))
    return [(text, reason) for text, reason in zip(filters, reasons, strict=False) if reason]


def _set_login(client: paho.Client, login: Login) -> None:
    if login.username:
        client.username_pw_set(login.username, login.token)
    if login.tls:
        client.tls_set_context(tls_context(login))


def _disable_nagle(_client: paho.Client, _userdata: Any, sock: Any) -> None:
    """Turn Nagle's algorithm off: it holds a packet back for 40 ms behind an acknowledgement."""
    # Only a plain socket has the option; paho may also pass one of its own types.
    if isinstance(sock, socket.socket):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def _call(callback: Callable[..., None], *arguments: object) -> None:
    try:
        callback(*arguments)
    except Exception:
        logger.exception("a bus callback failed")


def _words(reason: ReasonCode) -> str:
    # What paho says of a connection that ended without a DISCONNECT.
    return "the connection was closed" if str(reason) == "Unspecified error" else str(reason)
