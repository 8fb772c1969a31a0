"""An MQTT client that connects again for ever. The only module that knows paho.

Each connection is a paho client of its own: what one had in flight when its link broke is never
sent again behind newer messages, and one whose thread died is replaced like one that lost its
broker. What must survive that waits in the node's outbox.

Threads: one of ours connects, watches and waits in between; paho's network thread runs the
callbacks, and an exception in one is caught and logged here. paho holds its message lock while it
reports an acknowledgement, and takes that lock to publish: `on_acknowledged` must not wait for a
lock that its owner holds around `publish`.
"""

import contextlib
import logging
import random
import socket
import ssl
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from bus.client.backoff import reconnect_backoff
from bus.client.login import Login, tls_context
from bus.contract.messages import Message, encode
from bus.contract.topics import Topic, is_command

logger = logging.getLogger(__name__)

_CONNECT_S = 5.0
_FLUSH_S = 2.0
_GOODBYE_S = 0.5
_MAX_QUEUED = 100
# How often the link is looked at: whether its thread lives, whether the broker still answers.
_WATCH_S = 0.5
# paho notices a silent broker by the first; this is for when paho's own thread is stuck.
_KEEPALIVES_WITHOUT_PUBACK = 2

Payload = Callable[[str, bytes], None]


def _send_at_once(_client: paho.Client, _userdata: Any, sock: Any) -> None:
    """Turn Nagle's algorithm off: it holds a packet back for 40 ms behind an acknowledgement."""
    # Only a plain socket has it; paho may also hand over one of its own kinds.
    if isinstance(sock, socket.socket):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def _ignore(*_: object) -> None:
    return


class Callbacks(msgspec.Struct, frozen=True, kw_only=True):
    """What the owner of a client hears, on paho's network thread."""

    on_message: Payload = _ignore
    on_connect: Callable[[], None] = _ignore
    on_disconnect: Callable[[str], None] = _ignore
    on_acknowledged: Callable[[int], None] = _ignore
    on_refused: Callable[[str], None] = _ignore


class BusClient:
    """One connection to the broker at `address` (host, port), under a client id of its own."""

    def __init__(  # noqa: PLR0913 - what a connection is made of; all but two have defaults
        self,
        address: tuple[str, int],
        *,
        client_id: str,
        login: Login | None = None,
        relogin: Callable[[], Login | None] | None = None,
        keepalive_s: int = 15,
        filters: Sequence[str] = (),
        on_message: Payload = _ignore,
        on_connect: Callable[[], None] = _ignore,
        on_disconnect: Callable[[str], None] = _ignore,
        on_acknowledged: Callable[[int], None] = _ignore,
        on_refused: Callable[[str], None] = _ignore,
        will: tuple[Topic, Message] | None = None,
    ) -> None:
        self._address = address
        self._client_id = client_id
        self._login = login
        self._relogin = relogin
        self._keepalive_s = keepalive_s
        self._filters = [(text, 1) for text in filters]
        self._will = will
        self._callbacks = Callbacks(
            on_message=on_message,
            on_connect=on_connect,
            on_disconnect=on_disconnect,
            on_acknowledged=on_acknowledged,
            on_refused=on_refused,
        )
        self._backoff = reconnect_backoff(random.uniform)
        self._stopping = threading.Event()
        self._ended = threading.Event()
        self._connected = threading.Event()
        self._unacknowledged: deque[paho.MQTTMessageInfo] = deque(maxlen=_MAX_QUEUED)
        self._acknowledged_s = 0.0
        self._complaint = ""
        # Raises here, not in the thread, where a certificate cannot be read.
        self._paho = self._make_paho()
        self._thread: threading.Thread | None = None

    @property
    def connected(self) -> bool:
        return self._connected.is_set()

    @property
    def in_flight(self) -> int:
        """How many messages at QoS 1 the broker has not acknowledged on this connection."""
        return sum(not _is_over(info) for info in tuple(self._unacknowledged))

    def start(self) -> None:
        """Connect in the background and stay connected. Returns at once."""
        self._stopping.clear()
        self._thread = threading.Thread(
            target=self._stay_connected, name=f"bus-{self._client_id}", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """Wait up to 2 s for what is in flight, then disconnect. Twice is fine."""
        if self._thread is None:
            return
        self._flush(time.monotonic() + _FLUSH_S)
        self._stopping.set()
        self._ended.set()
        self._thread.join(_CONNECT_S + _FLUSH_S)
        self._thread = None

    def _flush(self, deadline_s: float) -> None:
        for info in tuple(self._unacknowledged):
            remaining_s = deadline_s - time.monotonic()
            if not self.connected or remaining_s <= 0:
                return
            # Raises for a message that was never queued: there is nothing to wait for then.
            with contextlib.suppress(RuntimeError, ValueError):
                info.wait_for_publish(remaining_s)

    def publish(self, topic: Topic, message: Message) -> int | None:
        """Send a message as its channel says.

        Returns the packet id that `on_acknowledged` will name, or None where nothing was sent
        because the link is down.
        """
        return self.publish_payload(topic, encode(message))

    def publish_payload(self, topic: Topic, payload: bytes) -> int | None:
        """Send bytes as the topic's channel says; see `publish`."""
        channel = topic.channel
        if not self.connected:
            return None
        idle = not self.in_flight
        info = self._paho.publish(str(topic), payload, channel.qos, channel.retain)
        if info.rc != MQTTErrorCode.MQTT_ERR_SUCCESS:
            return None
        if channel.qos > 0:
            if idle:
                self._acknowledged_s = time.monotonic()
            self._unacknowledged.append(info)
        return info.mid

    # The next six run on our own thread.

    def _stay_connected(self) -> None:
        while not self._stopping.is_set():
            began_s = time.monotonic()
            try:
                self._connect_once()
            except Exception:
                logger.exception("the bus client failed")
            was_connected = self._connected.is_set()
            self._connected.clear()
            if not self._stopping.is_set():
                lasted_s = time.monotonic() - began_s if was_connected else 0.0
                self._stopping.wait(self._backoff.next_s(lasted_s))

    def _connect_once(self) -> None:
        """Connect and stay until the link ends, for whatever reason."""
        host, port = self._address
        self._ended.clear()
        self._unacknowledged.clear()
        self._read_login_again()
        self._paho = client = self._make_paho()
        try:
            client.connect(host, port, self._keepalive_s)
        except ssl.SSLError as e:
            self._complain(f"no trust in the broker at {host}:{port}: {e}", logging.ERROR)
            return
        except OSError as e:
            self._complain(f"no broker at {host}:{port} yet: {e.strerror or e}", logging.INFO)
            return
        client.loop_start()
        try:
            self._watch(client)
        finally:
            self._close(client)

    def _read_login_again(self) -> None:
        """Ask for the login again: a node that was enrolled meanwhile gets in by itself."""
        try:
            found = self._relogin() if self._relogin is not None else None
        except Exception:
            logger.exception("a bus callback failed")
            return
        self._login = found or self._login

    def _close(self, client: paho.Client) -> None:
        """End a connection and paho's thread, whatever state they are in."""
        if self._stopping.is_set() and self.connected:
            self._ended.clear()
            client.disconnect()
            # So that the broker gets the DISCONNECT, and keeps the last will to itself.
            self._ended.wait(_GOODBYE_S)
        sock = client.socket()
        if isinstance(sock, socket.socket):
            # paho's thread does not end while messages wait, other than for a dead link.
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        client.loop_stop()

    def _watch(self, client: paho.Client) -> None:
        """Return when the link has ended, or must: no answer, no thread, or asked to stop."""
        patience_s = _KEEPALIVES_WITHOUT_PUBACK * self._keepalive_s
        began_s = time.monotonic()
        while not self._ended.wait(_WATCH_S):
            if client._thread is None:  # noqa: SLF001 - paho tells nobody that its thread is gone
                logger.error("paho's thread has ended: connecting anew")
                return
            now_s = time.monotonic()
            since_s = self._acknowledged_s if self.in_flight else now_s
            if not self.connected:
                since_s = began_s
            if now_s - since_s > patience_s:
                logger.warning(
                    "the broker has not answered for %.0f s: connecting anew", patience_s
                )
                return

    def _make_paho(self) -> paho.Client:
        made = paho.Client(
            CallbackAPIVersion.VERSION2,
            client_id=self._client_id,
            protocol=paho.MQTTv311,
            reconnect_on_failure=False,
        )
        made.suppress_exceptions = True
        made.connect_timeout = _CONNECT_S
        made.max_queued_messages_set(_MAX_QUEUED)
        made.on_socket_open = _send_at_once
        made.on_connect = self._on_connect
        made.on_subscribe = self._on_subscribe
        made.on_disconnect = self._on_disconnect
        made.on_message = self._on_message
        made.on_publish = self._on_publish
        if self._login is not None:
            self._show(made, self._login)
        if self._will is not None:
            topic, message = self._will
            made.will_set(str(topic), encode(message), topic.channel.qos, topic.channel.retain)
        return made

    @staticmethod
    def _show(client: paho.Client, login: Login) -> None:
        if login.username:
            client.username_pw_set(login.username, login.token)
        if login.tls:
            client.tls_set_context(tls_context(login))

    # From here on, everything runs on paho's network thread.

    def _on_connect(
        self,
        client: paho.Client,
        _userdata: Any,
        _flags: paho.ConnectFlags,
        reason: ReasonCode,
        _properties: Properties | None,
    ) -> None:
        host, port = self._address
        if reason.is_failure:
            said = f"the broker at {host}:{port} refused the connection: {reason}"
            if self._complain(said, logging.ERROR):
                self._call(self._callbacks.on_refused, str(reason))
            return
        if self._filters:
            # Connected is who hears, too: the rest waits for the broker's answer.
            client.subscribe(self._filters)
        else:
            self._be_connected(client)

    def _on_subscribe(self, client: paho.Client, *_: object) -> None:
        self._be_connected(client)

    def _be_connected(self, client: paho.Client) -> None:
        if client is not self._paho or self._stopping.is_set():
            return
        self._complaint = ""
        self._connected.set()
        logger.info("connected to the broker at %s:%d", *self._address)
        self._call(self._callbacks.on_connect)

    def _on_disconnect(
        self,
        client: paho.Client,
        _userdata: Any,
        _flags: paho.DisconnectFlags,
        reason: ReasonCode,
        _properties: Properties | None,
    ) -> None:
        if client is not self._paho:
            return
        if self._connected.is_set() and not self._stopping.is_set():
            logger.warning("lost the broker at %s:%d: %s", *self._address, reason)
        self._connected.clear()
        self._call(self._callbacks.on_disconnect, str(reason))
        self._ended.set()

    def _on_message(self, _client: paho.Client, _userdata: Any, message: paho.MQTTMessage) -> None:
        try:
            topic = message.topic
        except UnicodeDecodeError:
            logger.warning("dropped a message whose topic is not UTF-8")
            return
        if message.retain and is_command(topic):
            # It would be carried out again at every reconnection.
            logger.warning("ignored a retained command on %s; publish commands unretained", topic)
            return
        self._call(self._callbacks.on_message, topic, message.payload)

    def _on_publish(
        self, client: paho.Client, _userdata: Any, mid: int, _reason: Any, _properties: Any
    ) -> None:
        if client is self._paho:
            self._acknowledged_s = time.monotonic()
            self._call(self._callbacks.on_acknowledged, mid)

    def _complain(self, text: str, level: int) -> bool:
        """Log why there is no connection, once for each reason; return whether it is a new one."""
        if text == self._complaint:
            return False
        self._complaint = text
        logger.log(level, "%s", text)
        return True

    @staticmethod
    def _call(callback: Callable[..., None], *arguments: object) -> None:
        try:
            callback(*arguments)
        except Exception:
            logger.exception("a bus callback failed")


def _is_over(info: paho.MQTTMessageInfo) -> bool:
    """Whether a message was acknowledged, or never went out."""
    try:
        return info.is_published()
    except (RuntimeError, ValueError):
        return True
