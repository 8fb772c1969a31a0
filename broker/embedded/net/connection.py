"""Connection to one client: whole packets in, bytes out in batches. It knows no session.

Reading yields to the other clients every few milliseconds, and waits while the client does not take
what was written, so that neither a flood nor a stall delays anyone else.
"""

import asyncio
import socket
import ssl
from collections.abc import Callable

import msgspec

from broker.embedded.counters import Counters
from broker.embedded.packets.decode import MAX_LENGTH_BYTES, PacketType, ViolationError, packet_type

# Bytes read at a time, and the time for which one client is served before the next.
_CHUNK_BYTES = 16 * 1024
_SLICE_S = 0.002
# Bytes written and not taken above which a client is congested; the kernel's buffers come on top.
_MAX_BUFFERED_BYTES = 64 * 1024
# The time for a client to take the last packet before the connection is closed.
_LAST_PACKET_S = 1.0
# TCP keep alive: a peer without power is noticed in a minute, even without an MQTT keep alive.
_PROBE_AFTER_S = 30
_PROBE_EVERY_S = 10
_PROBES = 3


class TooLargeError(ViolationError):
    """A packet above the size limit."""


class Packet(msgspec.Struct, frozen=True, gc=False):
    """An MQTT control packet: its type, its first byte with the flags, and its body."""

    kind: PacketType
    first_byte: int
    body: bytes


class Framer:
    """Splits a byte stream into packets. Type, flags and length are checked before the body."""

    def __init__(self, max_packet_bytes: int) -> None:
        self._max_packet_bytes = max_packet_bytes
        self._buffer = bytearray()
        self._at = 0

    def allow(self, max_packet_bytes: int) -> None:
        """Change the limit for the packets to come."""
        self._max_packet_bytes = max_packet_bytes

    def feed(self, data: bytes) -> None:
        del self._buffer[: self._at]
        self._at = 0
        self._buffer += data

    def next(self) -> Packet | None:
        """Return the next whole packet; None where more bytes are needed. Raises ViolationError."""
        if len(self._buffer) <= self._at:
            return None
        first_byte = self._buffer[self._at]
        kind = packet_type(first_byte)
        length, start = self._length()
        end = start + length
        if not start or end > len(self._buffer):
            return None
        body = bytes(memoryview(self._buffer)[start:end])
        self._at = end
        return Packet(kind, first_byte, body)

    def _length(self) -> tuple[int, int]:
        """Return the remaining length and the body's offset; 0, 0 where bytes are missing."""
        length = 0
        for place, byte in enumerate(self._buffer[self._at + 1 : self._at + 5]):
            length |= (byte & 0x7F) << 7 * place
            if length > self._max_packet_bytes:
                raise TooLargeError(f"a packet of {length} bytes, at most {self._max_packet_bytes}")
            if byte < 0x80:
                return length, self._at + 2 + place
            if place + 1 == MAX_LENGTH_BYTES:
                raise ViolationError("a length of more than four bytes")
        return 0, 0


class Connection:
    """Accepted connection. `address` is that of the peer, without its port."""

    def __init__(  # noqa: PLR0913 - streams, limits and counters of one connection
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        *,
        address: str,
        max_packet_bytes: int,
        counters: Counters,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self.address = address
        self._reader = reader
        self._writer = writer
        self._framer = Framer(max_packet_bytes)
        self._counters = counters
        self._loop = loop
        self._slice_end_s = 0.0
        self._batch: list[bytes] = []
        self._batch_bytes = 0
        self._draining: asyncio.Task[None] | None = None

    def allow_packets(self, max_packet_bytes: int) -> None:
        """Change the size limit, which is lower before the login."""
        self._framer.allow(max_packet_bytes)

    async def read(self) -> Packet | None:
        """Return the next packet, None at the end of the stream. Raises ViolationError."""
        while (packet := self._framer.next()) is None:
            data = await self._read_chunk()
            if not data:
                return None
            self._framer.feed(data)
        if self._loop.time() > self._slice_end_s:
            await self._yield_to_others()
        if self.is_congested:
            await self.drain()
        self._counters.messages_received += 1
        return packet

    async def _read_chunk(self) -> bytes:
        try:
            data = await self._reader.read(_CHUNK_BYTES)
        except OSError:
            return b""
        self._counters.bytes_received += len(data)
        if len(data) == _CHUNK_BYTES:
            await self._yield_to_others()
        self._slice_end_s = self._loop.time() + _SLICE_S
        return data

    async def _yield_to_others(self) -> None:
        await asyncio.sleep(0)
        self._slice_end_s = self._loop.time() + _SLICE_S

    @property
    def is_congested(self) -> bool:
        """Whether too much of what was written is not taken yet."""
        return (
            self._batch_bytes + self._writer.transport.get_write_buffer_size() > _MAX_BUFFERED_BYTES
        )

    @property
    def is_closing(self) -> bool:
        return self._writer.transport.is_closing()

    @property
    def certificate_name(self) -> str | None:
        """The common name of the client's certificate, where it has shown one."""
        certificate = self._writer.get_extra_info("peercert") or {}
        names = dict(pair for group in certificate.get("subject", ()) for pair in group)
        return names.get("commonName")

    def send(self, packet: bytes) -> None:
        """Write a packet, together with all others of this round of the loop."""
        if not self._batch:
            self._loop.call_soon(self._flush)
        self._batch.append(packet)
        self._batch_bytes += len(packet)
        self._counters.messages_sent += 1

    def _flush(self) -> None:
        if not self._batch:
            return
        data = b"".join(self._batch)
        self._batch.clear()
        self._batch_bytes = 0
        if not self.is_closing:
            self._counters.bytes_sent += len(data)
            self._writer.write(data)

    async def drain(self) -> None:
        """Wait until the client has taken most of what was written, or the connection ends."""
        self._flush()
        try:
            await self._writer.drain()
        except OSError:
            return

    def when_drained(self, callback: Callable[[], None]) -> None:
        """Call `callback` once, when there is room again; while one is waiting, do nothing."""
        if self._draining is None:
            self._draining = self._loop.create_task(self._drain_then(callback))

    async def _drain_then(self, callback: Callable[[], None]) -> None:
        try:
            await self.drain()
        finally:
            self._draining = None
        if not self.is_closing:
            callback()

    def abort(self) -> None:
        """Close at once, without what the client has not taken."""
        self._batch.clear()
        self._batch_bytes = 0
        self._writer.transport.abort()

    def close(self) -> None:
        """Close when the client has taken what was written, or after a second. Twice is fine."""
        if self.is_closing:
            return
        if self.is_congested:
            self.abort()
            return
        self._flush()
        self._writer.close()
        self._loop.call_later(_LAST_PACKET_S, self._writer.transport.abort)


async def open_streams(
    sock: socket.socket, tls: ssl.SSLContext | None, handshake_s: float
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Return the streams of an accepted socket, after a TLS handshake if `tls` is given.

    Raises OSError, which includes ssl.SSLError and ConnectionError.
    """
    loop = asyncio.get_running_loop()
    _set_options(sock)
    reader = asyncio.StreamReader(limit=_CHUNK_BYTES, loop=loop)
    protocol = asyncio.StreamReaderProtocol(reader, loop=loop)
    async with asyncio.timeout(handshake_s if tls else None):
        if tls is not None:
            # TLS takes some 600 KB from its first moment: not for a peer that sends nothing.
            await _readable(sock)
        transport, _ = await loop.connect_accepted_socket(
            lambda: protocol,
            sock,
            ssl=tls,
            ssl_handshake_timeout=handshake_s if tls else None,
        )
    return reader, asyncio.StreamWriter(transport, protocol, reader, loop)


async def _readable(sock: socket.socket) -> None:
    """Wait until the peer has sent something or closed; close the socket where that is given up."""
    loop = asyncio.get_running_loop()
    is_readable = asyncio.Event()
    loop.add_reader(sock.fileno(), is_readable.set)
    try:
        await is_readable.wait()
    except BaseException:
        loop.remove_reader(sock.fileno())
        sock.close()
        raise
    loop.remove_reader(sock.fileno())


def _set_options(sock: socket.socket) -> None:
    """Send small packets at once, and probe a silent peer."""
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    # Linux has these three.
    for name, value in (
        ("TCP_KEEPIDLE", _PROBE_AFTER_S),
        ("TCP_KEEPINTVL", _PROBE_EVERY_S),
        ("TCP_KEEPCNT", _PROBES),
    ):
        if hasattr(socket, name):
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
