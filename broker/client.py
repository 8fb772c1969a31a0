"""An MQTT client that reconnects for ever. The only module that knows paho.

paho's network thread runs the callbacks. An exception in one would end that thread in silence, so
each is caught and logged here. Nothing is queued in paho while the link is down: what must survive
that waits in the node's outbox.

paho holds its message lock while it reports an acknowledgement, and takes that lock to publish. So
`on_acknowledged` must not wait for a lock that its owner holds around `publish`.
"""

import contextlib
import logging
import socket
import ssl
import sys
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

from broker.login import Login, tls_context
from broker.messages import Message, encode
from broker.topics import Topic, is_command

logger = logging.getLogger(__name__)

# paho repeats a failed attempt after 1, 2, 4 ... s; a hub that is back should be found soon.
_RECONNECT_MIN_S = 1
_RECONNECT_MAX_S = 15
_FLUSH_S = 2.0
_MAX_QUEUED = 100

# At QoS 1, "no connection" means that paho keeps the message and sends it on the next one.
_ACCEPTED = {
    0: (MQTTErrorCode.MQTT_ERR_SUCCESS,),
    1: (MQTTErrorCode.MQTT_ERR_SUCCESS, MQTTErrorCode.MQTT_ERR_NO_CONN),
}

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
        self._keepalive_s = keepalive_s
        self._filters = [(text, 1) for text in filters]
        self._callbacks = Callbacks(
            on_message=on_message,
            on_connect=on_connect,
            on_disconnect=on_disconnect,
            on_acknowledged=on_acknowledged,
            on_refused=on_refused,
        )
        self._unacknowledged: deque[paho.MQTTMessageInfo] = deque(maxlen=_MAX_QUEUED)
        self._connected = threading.Event()
        self._started = False
        self._relogin = relogin
        self._paho = self._make_paho(client_id)
        if login is not None:
            self._show(login)
            if login.tls:
                self._paho.tls_set_context(tls_context(login))
        if will is not None:
            topic, message = will
            self._paho.will_set(
                str(topic), encode(message), topic.channel.qos, topic.channel.retain
            )

    def _make_paho(self, client_id: str) -> paho.Client:
        made = paho.Client(CallbackAPIVersion.VERSION2, client_id=client_id, protocol=paho.MQTTv311)
        made.suppress_exceptions = True
        made.max_queued_messages_set(_MAX_QUEUED)
        made.reconnect_delay_set(_RECONNECT_MIN_S, _RECONNECT_MAX_S)
        made.on_socket_open = _send_at_once
        made.on_pre_connect = self._on_pre_connect
        made.on_connect = self._on_connect
        made.on_subscribe = self._on_subscribe
        made.on_disconnect = self._on_disconnect
        made.on_connect_fail = self._on_connect_fail
        made.on_message = self._on_message
        made.on_publish = self._on_publish
        return made

    def _show(self, login: Login) -> None:
        if login.username:
            self._paho.username_pw_set(login.username, login.token)

    @property
    def connected(self) -> bool:
        return self._connected.is_set()

    def start(self) -> None:
        """Connect in the background and stay connected. Returns at once."""
        host, port = self._address
        self._started = True
        self._paho.connect_async(host, port, self._keepalive_s)
        self._paho.loop_start()

    def stop(self) -> None:
        """Wait up to 2 s for what is in flight, then disconnect. Twice is fine."""
        if not self._started:
            return
        self._started = False
        self._flush(time.monotonic() + _FLUSH_S)
        self._paho.disconnect()
        self._paho.loop_stop()
        self._connected.clear()

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
        info = self._paho.publish(str(topic), payload, channel.qos, channel.retain)
        if info.rc not in _ACCEPTED[channel.qos]:
            return None
        if channel.qos > 0:
            self._unacknowledged.append(info)
        return info.mid

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
            logger.error("the broker at %s:%d refused the connection: %s", host, port, reason)
            self._call(self._callbacks.on_refused, str(reason))
            return
        if self._filters:
            # Connected is who hears, too: the rest waits for the broker's answer.
            client.subscribe(self._filters)
        else:
            self._be_connected()

    def _on_subscribe(self, *_: object) -> None:
        self._be_connected()

    def _be_connected(self) -> None:
        self._connected.set()
        logger.info("connected to the broker at %s:%d", *self._address)
        self._call(self._callbacks.on_connect)

    def _on_disconnect(
        self,
        _client: paho.Client,
        _userdata: Any,
        _flags: paho.DisconnectFlags,
        reason: ReasonCode,
        _properties: Properties | None,
    ) -> None:
        was_connected = self._connected.is_set()
        self._connected.clear()
        if was_connected and self._started:
            logger.warning("lost the broker at %s:%d: %s", *self._address, reason)
        self._call(self._callbacks.on_disconnect, str(reason))

    def _on_pre_connect(self, _client: paho.Client, _userdata: Any) -> None:
        """Ask for the login again: a node that was enrolled meanwhile gets in by itself."""
        if self._relogin is None:
            return
        try:
            login = self._relogin()
        except Exception:
            logger.exception("a bus callback failed")
            return
        if login is not None:
            self._show(login)

    def _on_connect_fail(self, _client: paho.Client, _userdata: Any) -> None:
        # paho calls this while it handles the error, which it hands to nobody.
        error = sys.exc_info()[1]
        if isinstance(error, ssl.SSLError):
            logger.error("no trust in the broker at %s:%d: %s", *self._address, error)
            return
        logger.info("no broker at %s:%d yet", *self._address)

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
        self, _client: paho.Client, _userdata: Any, mid: int, _reason: Any, _properties: Any
    ) -> None:
        self._call(self._callbacks.on_acknowledged, mid)

    @staticmethod
    def _call(callback: Callable[..., None], *arguments: object) -> None:
        try:
            callback(*arguments)
        except Exception:
            logger.exception("a bus callback failed")
