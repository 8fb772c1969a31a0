"""MQTT load client: bare sockets and handmade packets, so that the broker is the slower side."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

from tests.broker.embedded.raw import binary, connect, packet, uint16
from tests.support import HOST

WAIT_S = 20.0
KEEP_ALIVE_S = 60
_CONNACK, _PUBLISH, _PUBACK, _SUBACK = 2, 3, 4, 9


def text(value: str) -> bytes:
    return binary(value.encode())


def subscribe(packet_id: int, filters: list[tuple[str, int]]) -> bytes:
    asked = b"".join(text(name) + bytes((qos,)) for name, qos in filters)
    return packet(0x82, uint16(packet_id) + asked)


def publish(
    topic: str, payload: bytes, qos: int = 0, packet_id: int = 0, *, retain: bool = False
) -> bytes:
    ids = uint16(packet_id) if qos else b""
    return packet(0x30 | qos << 1 | retain, text(topic) + ids + payload)


class RawClient(asyncio.Protocol):
    """One connection. `heard` is called with each payload; QoS 1 is acknowledged at once."""

    def __init__(self, heard: Callable[[bytes], None] | None = None) -> None:
        self.received = 0
        self.acknowledged = 0
        self.changed: Callable[[], None] = lambda: None
        self.transport: asyncio.Transport
        self.lost = asyncio.get_running_loop().create_future()
        self._heard = heard
        self._buffer = b""
        self._answers: asyncio.Queue[bytes] = asyncio.Queue()
        self._packet_id = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def connection_lost(self, _error: Exception | None) -> None:
        if not self.lost.done():
            self.lost.set_result(None)

    def data_received(self, data: bytes) -> None:
        data = self._buffer + data
        at = 0
        acks: list[bytes] = []
        while True:
            start, end = frame(data, at)
            if not end or end > len(data):
                break
            self._take(data, at, start, end, acks)
            at = end
        self._buffer = data[at:]
        if acks:
            self.transport.write(b"".join(acks))
        self.changed()

    def _take(self, data: bytes, at: int, start: int, end: int, acks: list[bytes]) -> None:
        kind = data[at] >> 4
        if kind == _PUBLISH:
            self.received += 1
            body = start + 2 + (data[start] << 8 | data[start + 1])
            if data[at] & 6:
                acks.append(b"\x40\x02" + data[body : body + 2])
                body += 2
            if self._heard is not None:
                self._heard(data[body:end])
        elif kind == _PUBACK:
            self.acknowledged += 1
        else:
            self._answers.put_nowait(data[at:end])

    async def ask(self, request: bytes) -> bytes:
        """Send a packet and return what comes back that is no message. Raises OSError."""
        self.transport.write(request)
        answer = asyncio.ensure_future(self._answers.get())
        try:
            async with asyncio.timeout(WAIT_S):
                await asyncio.wait({answer, self.lost}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            answer.cancel()
        if not answer.done() or answer.cancelled():
            raise ConnectionResetError("the broker closed the connection")
        return answer.result()

    async def subscribe(self, filters: list[tuple[str, int]]) -> None:
        # What one SUBSCRIBE may hold is bounded, as every packet is.
        for first in range(0, len(filters), 100):
            await self.ask(subscribe(1, filters[first : first + 100]))

    def publish(
        self, topic: str, payload: bytes, qos: int, count: int = 1, *, retain: bool = False
    ) -> None:
        """Publish the same message `count` times, in one write."""
        if not qos:
            self.transport.write(publish(topic, payload, retain=retain) * count)
            return
        packets = []
        for _ in range(count):
            self._packet_id = self._packet_id % 65_535 + 1
            packets.append(publish(topic, payload, 1, self._packet_id, retain=retain))
        self.transport.write(b"".join(packets))


def frame(data: bytes, at: int) -> tuple[int, int]:
    """Return where the body of the packet at `at` starts and ends; 0, 0 where bytes are missing."""
    length = shift = 0
    for place in range(at + 1, min(at + 5, len(data))):
        length |= (data[place] & 127) << shift
        shift += 7
        if data[place] < 128:
            return place + 1, place + 1 + length
    return 0, 0


async def open_client(
    port: int,
    client_id: str,
    heard: Callable[[bytes], None] | None = None,
    *,
    clean: bool = True,
) -> RawClient:
    """Connect and wait until the broker has let it in. Raises OSError where it does not."""
    loop = asyncio.get_running_loop()
    _, client = await loop.create_connection(lambda: RawClient(heard), HOST, port)
    try:
        answer = await client.ask(connect(client_id, clean=clean, keep_alive_s=KEEP_ALIVE_S))
    except BaseException:
        client.transport.abort()
        raise
    # The first byte of the body says whether there was a session.
    if answer[0] != 0x20 or answer[3] != 0:
        client.transport.abort()
        raise ConnectionRefusedError(f"the broker answered {answer.hex()}")
    return client


@contextlib.asynccontextmanager
async def clients(*opened: RawClient) -> AsyncIterator[None]:
    """Say good-bye for all of them at the end."""
    try:
        yield
    finally:
        for client in opened:
            client.transport.write(b"\xe0\x00")
            client.transport.close()
        await asyncio.gather(*(client.lost for client in opened))
