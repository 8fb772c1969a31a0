"""MQTT over WebSocket at a running broker, with the `websockets` library as its client."""

import asyncio
import contextlib
import datetime as dt
import ssl
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from random import Random
from typing import cast

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection
from websockets.sync.client import connect as open_websocket
from websockets.typing import Subprotocol

from broker.auth import certificates, server_tls
from broker.auth.gate import Attempt, Identity, Role
from broker.embedded.net.websocket.frames import Opcode
from broker.embedded.net.websocket.handshake import WebSocketPolicy
from bus.client.connection import close_wakeup_sockets
from bus.peer_address import TrustedProxies
from tests.broker.embedded.gates import Passwords
from tests.broker.embedded.net.websocket.test_frames import masked
from tests.broker.embedded.net.websocket.test_handshake import request
from tests.broker.embedded.raw import DISCONNECT, PINGREQ, RawClient, connect, publish, subscribe
from tests.broker.embedded.running import Running, running
from tests.broker.embedded.switch import ours_only
from tests.support import HOST, WAIT_S, OpenGate

pytestmark = ours_only

CONNACK = b"\x20\x02\0\0"
PINGRESP = b"\xd0\0"


class Seen(OpenGate):
    """Lets everyone in and remembers the attempts."""

    def __init__(self) -> None:
        self.attempts: list[Attempt] = []

    async def authenticate(self, attempt: Attempt) -> Identity | None:
        self.attempts.append(attempt)
        return Identity(attempt.username or "anyone", Role.HUB)


@pytest.fixture
def broker() -> Iterator[Running]:
    with running(websocket=WebSocketPolicy()) as found:
        yield found


@contextlib.contextmanager
def opened(broker: Running, **options: object) -> Iterator[ClientConnection]:
    address = f"ws://{HOST}:{broker.websocket_port}/mqtt"
    protocols = [Subprotocol("mqtt")]
    with open_websocket(address, subprotocols=protocols, open_timeout=WAIT_S, **options) as found:  # type: ignore[arg-type]
        yield found


def read(client: ClientConnection, count: int) -> bytes:
    """Return so many bytes of the stream that the frames carry."""
    found = b""
    while len(found) < count:
        found += cast(bytes, client.recv(WAIT_S))
    assert len(found) == count
    return found


def connected(client: ClientConnection, name: str = "ws") -> None:
    client.send(connect(name))
    assert read(client, len(CONNACK)) == CONNACK


def raw(broker: Running) -> RawClient:
    """Return a socket after the handshake, for frames that no library sends."""
    client = RawClient(broker.websocket_port)
    client.send(request())
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += client.sock.recv(1)
    assert head.startswith(b"HTTP/1.1 101 ")
    return client


def exactly(client: RawClient, count: int) -> bytes:
    found = b""
    while len(found) < count:
        found += client.sock.recv(count - len(found))
    return found


def rest_of(client: RawClient) -> bytes:
    found = b""
    with contextlib.suppress(ConnectionError):
        while data := client.sock.recv(65_536):
            found += data
    return found


def test_messages_go_between_a_websocket_and_tcp(broker: Running) -> None:
    with opened(broker) as client, broker.client("tcp") as other:
        connected(client)
        client.send(subscribe(("a/#", 1)))
        assert read(client, 5) == b"\x90\x03\0\x01\x01"
        other.subscribe(("b", 0))
        other.publish("a/b", b"x" * 200_000, 0)
        message = publish("a/b", b"x" * 200_000)
        assert read(client, len(message)) == message
        client.send(publish("b", b"y" * 200_000))
        assert other.receive().payload == b"y" * 200_000


def test_packets_may_begin_and_end_anywhere_in_frames(broker: Running) -> None:
    stream = connect("ws") + subscribe(("a", 0)) + publish("a", b"x" * 300) + PINGREQ
    wanted = CONNACK + b"\x90\x03\0\x01\0" + publish("a", b"x" * 300) + PINGRESP
    pieces: list[Iterable[bytes] | bytes] = [
        *(bytes((byte,)) for byte in stream[:40]),
        # One message in fragments, an empty one among them.
        [stream[40:41], b"", stream[41:200]],
        stream[200:],
    ]
    with opened(broker) as client:
        for piece in pieces:
            client.send(piece)
        assert read(client, len(wanted)) == wanted
    with opened(broker) as client:
        client.send(stream)
        assert read(client, len(wanted)) == wanted


def test_a_text_frame_ends_the_connection_with_its_will(broker: Running) -> None:
    with broker.client("watcher") as watcher, opened(broker) as client:
        watcher.subscribe(("will", 0))
        client.send(connect("ws", will=("will", b"gone", 0, False)))
        read(client, len(CONNACK))
        client.send("text")
        with pytest.raises(ConnectionClosed):
            client.recv(WAIT_S)
        assert client.close_code == 1003
        assert watcher.receive().payload == b"gone"


def test_a_disconnect_is_answered_with_a_close_frame_and_without_the_will(broker: Running) -> None:
    with broker.client("watcher") as watcher, opened(broker) as client:
        watcher.subscribe(("will", 0))
        client.send(connect("ws", will=("will", b"gone", 0, False)))
        read(client, len(CONNACK))
        client.send(DISCONNECT)
        with pytest.raises(ConnectionClosed):
            client.recv(WAIT_S)
        assert client.close_code == 1000
        assert watcher.take_rest() == []


def test_a_close_frame_is_answered_and_ends_the_session(broker: Running) -> None:
    with broker.client("watcher") as watcher, raw(broker) as client:
        watcher.subscribe(("will", 0))
        client.send(masked(Opcode.BINARY, connect("ws", will=("will", b"gone", 0, False))))
        assert exactly(client, 6) == b"\x82\x04" + CONNACK
        client.send(masked(Opcode.CLOSE, b"\x0f\xa0bye"))
        assert rest_of(client) == b"\x88\x02\x0f\xa0"
        assert watcher.receive().payload == b"gone"
        assert broker.sessions() == 1


def test_a_ping_is_answered_before_and_between_packets(broker: Running) -> None:
    with raw(broker) as client:
        client.send(masked(Opcode.PING, b"early"))
        assert exactly(client, 7) == b"\x8a\x05early"
        client.send(masked(Opcode.BINARY, connect("ws"), final=False))
        assert exactly(client, 6) == b"\x82\x04" + CONNACK
        client.send(masked(Opcode.PING, b"") + masked(Opcode.PONG, b"unasked"))
        client.send(masked(Opcode.CONTINUATION, PINGREQ))
        assert exactly(client, 6) == b"\x8a\0" + b"\x82\x02" + PINGRESP


@pytest.mark.parametrize("frame", [b"\x82\x01x", masked(3, b""), masked(Opcode.CONTINUATION, b"")])
def test_a_wrong_frame_ends_only_its_connection(broker: Running, frame: bytes) -> None:
    with broker.client("bystander") as bystander, raw(broker) as client:
        client.send(masked(Opcode.BINARY, connect("ws")) + frame)
        assert rest_of(client).endswith(b"\x88\x02\x03\xea")
        bystander.ping()
        broker.wait_until(lambda: broker.sessions() == 1)


def test_a_frame_that_never_ends_takes_no_memory_before_the_log_in(broker: Running) -> None:
    with raw(broker) as client:
        # A frame of 4 GB with a CONNECT of 200 MB.
        client.send(b"\x82\xff" + (1 << 32).to_bytes(8, "big") + b"\0\0\0\0")
        client.send(b"\x10\xff\xff\xff\x5f")
        assert client.is_closed()
    with RawClient(broker.websocket_port) as other:
        other.send(request("X-Long: " + "x" * 8_192))
        assert rest_of(other) == b""


@pytest.mark.parametrize(
    "opening", [b"", request()[:-1], request(), request() + masked(Opcode.PING, b"x")]
)
def test_who_does_not_go_on_to_the_connect_is_closed_in_time(opening: bytes) -> None:
    with (
        running(websocket=WebSocketPolicy(), connect_timeout_s=0.2) as broker,
        RawClient(broker.websocket_port) as client,
    ):
        client.send(opening)
        rest_of(client)
        broker.wait_until(lambda: broker.sessions() == 0)


def test_a_handshake_that_makes_room_for_another_client_is_closed() -> None:
    limits = {"logins_per_address": 1, "connect_timeout_s": 60.0}
    with running(websocket=WebSocketPolicy(), **limits) as broker:
        # This machine may have four that have not logged in; they are accepted in their order.
        silent = [RawClient(broker.websocket_port) for _ in range(3)]
        for client in (*silent, raw(broker)):
            broker.close_later(client)
        broker.advance(2)
        with opened(broker) as other:
            connected(other)
            assert silent[0].is_closed()


def test_mqtt_without_websocket_is_closed_at_once(broker: Running) -> None:
    with RawClient(broker.websocket_port) as client:
        client.send(connect("tcp"))
        assert rest_of(client) == b""


def test_a_websocket_client_is_never_local_and_has_the_address_of_a_proxys_client() -> None:
    gate = Seen()
    policy = WebSocketPolicy(proxies=TrustedProxies([HOST]))
    with running(gate, websocket=policy) as broker, broker.client("tcp"):
        with opened(broker, additional_headers={"X-Forwarded-For": "192.0.2.7"}) as client:
            connected(client)
        with opened(broker) as client:
            connected(client)
    assert [(one.is_local, one.address) for one in gate.attempts] == [
        (True, HOST),
        (False, "192.0.2.7"),
        (False, HOST),
    ]


def test_a_page_from_elsewhere_is_refused(broker: Running) -> None:
    with pytest.raises(InvalidStatus) as raised, opened(broker, origin="http://evil.example"):
        pass
    assert raised.value.response.status_code == 403


def test_a_client_that_never_reads_is_not_read_from_any_more(broker: Running) -> None:
    with raw(broker) as client:
        client.send(masked(Opcode.BINARY, connect("ws")))
        client.sock.settimeout(0.5)
        frames = (masked(Opcode.PING, b"x" * 125) + masked(Opcode.BINARY, PINGREQ * 60)) * 100_000
        with pytest.raises(TimeoutError):
            client.send(frames)
        with broker.client("bystander") as bystander:
            bystander.ping()


def test_many_small_packets_arrive_in_order(broker: Running) -> None:
    with opened(broker) as client, broker.client("tcp") as other:
        other.subscribe(("n", 0))
        connected(client)
        for number in range(2_000):
            client.send(publish("n", str(number).encode()))
        assert [m.payload for m in other.take(2_000)] == [b"%d" % n for n in range(2_000)]


def test_random_frames_end_their_connections_and_nothing_else(broker: Running) -> None:
    random = Random(3)
    good = [connect("ws"), publish("a", b"x"), subscribe(("a", 0)), PINGREQ, DISCONNECT]
    before = broker.call(lambda: len(asyncio.all_tasks(broker.loop)))
    with broker.client("bystander") as bystander:
        for _ in range(150):
            stream = bytearray()
            for _ in range(random.randrange(1, 6)):
                opcode = random.choice([*Opcode, *[Opcode.BINARY] * 6])
                frame = masked(opcode, random.choice(good), final=random.random() < 0.8)
                stream += frame if random.random() < 0.9 else random.randbytes(20)
            if random.random() < 0.3:
                stream[random.randrange(len(stream))] ^= 1 << random.randrange(8)
            with raw(broker) as client:
                client.send(bytes(stream))
                if random.random() < 0.2:
                    client.reset()
            bystander.ping()
        # The bystander's own.
        broker.wait_until(
            lambda: broker.call(lambda: len(asyncio.all_tasks(broker.loop))) <= before + 1
        )
        assert broker.sessions() == 1


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> tuple[ssl.SSLContext, Path]:
    folder = tmp_path_factory.mktemp("tls")
    certificates.init(folder, [HOST], dt.datetime.now(dt.UTC))
    found = server_tls.load(folder, "none")
    assert found is not None
    return found.context, folder / server_tls.CA_NAME


@pytest.mark.parametrize("secure", [False, True])
def test_paho_connects_with_its_default_settings(
    tls: tuple[ssl.SSLContext, Path], secure: bool
) -> None:
    gate = Passwords()
    context = tls[0] if secure else None
    client = mqtt.Client(CallbackAPIVersion.VERSION2, transport="websockets")
    client.username_pw_set("node1", "right")
    if secure:
        client.tls_set(str(tls[1]))
    found: list[bytes] = []
    has_ended = threading.Event()
    client.on_disconnect = lambda *_: has_ended.set()
    client.on_message = lambda _client, _data, message: found.append(message.payload)
    client.on_connect = lambda *_: client.subscribe("a")
    client.on_subscribe = lambda *_: client.publish("a", b"x" * 100_000, 1)
    with running(gate, websocket=WebSocketPolicy(), websocket_tls=context) as broker:
        client.connect(HOST, broker.websocket_port)
        client.loop_start()
        broker.wait_until(lambda: bool(found), WAIT_S)
        client.disconnect()
        assert has_ended.wait(WAIT_S)
        client.loop_stop()
        close_wakeup_sockets(client)
        broker.wait_until(lambda: broker.sessions() == 0)
    assert found == [b"x" * 100_000]
