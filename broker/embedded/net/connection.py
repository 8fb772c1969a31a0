"""Connection to one client: whole packets in, bytes out in batches. It knows no session.

Packets are handled as they arrive, without a task. After a few milliseconds the other clients have
their turn, and nothing is read while the client does not take what was written, so that neither a
flood nor a stall delays anyone else.
"""

import asyncio
from collections.abc import Callable
from typing import cast

from broker.embedded.counters import Counters
from broker.embedded.net.closed_transport import ClosedTransport
from broker.embedded.net.round import Round
from broker.embedded.packets.framer import Framer
from broker.embedded.packets.model import Packet

# The time for which one client is served before the next.
_SLICE_S = 0.002
# Bytes written and not taken above which a client is congested; the kernel's buffers come on top.
_MAX_BUFFERED_BYTES = 64 * 1024
_LOW_BUFFERED_BYTES = 16 * 1024
# The time for a client to take the last packet before the connection is closed.
_LAST_PACKET_S = 1.0

OnPacket = Callable[[Packet], None]


class Connection(asyncio.BufferedProtocol):
    """Accepted connection. `address` is that of the peer, without its port."""

    __slots__ = (
        *("address", "read_s", "_counters", "_loop", "_transport", "_framer", "_round"),
        *("_on_packet", "_is_paused", "_is_yielding", "_is_reading", "_is_at_end", "_error"),
        *("_ended", "_batch", "_batch_bytes", "_is_write_paused", "_on_drained"),
    )

    def __init__(
        self, *, address: str, max_packet_bytes: int, counters: Counters, loop_round: Round
    ) -> None:
        self.address = address
        self._counters = counters
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport
        self._framer = Framer(max_packet_bytes)
        self._round = loop_round
        # When the last packets were handled.
        self.read_s = self._loop.time()
        self._on_packet: OnPacket | None = None
        self._is_paused = False
        self._is_yielding = False
        self._is_reading = True
        self._is_at_end = False
        self._error: Exception | None = None
        self._ended: asyncio.Future[None] = self._loop.create_future()
        self._batch: list[bytes] = []
        self._batch_bytes = 0
        self._is_write_paused = False
        self._on_drained: Callable[[], None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # Not checked, as uvloop's is no subclass.
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(_MAX_BUFFERED_BYTES, _LOW_BUFFERED_BYTES)

    async def first_packet(self) -> Packet | None:
        """Return the first packet, None where the peer closes before. Raises ViolationError."""
        found: list[Packet] = []

        def take(packet: Packet) -> None:
            found.append(packet)
            self.finish()

        await self.serve(take)
        if not found:
            return None
        self._ended = self._loop.create_future()
        return found[0]

    async def serve(self, on_packet: OnPacket) -> None:
        """Call `on_packet` with each packet until `finish` or the end of the stream.

        Raises what it raises, and ViolationError.
        """
        self._on_packet = on_packet
        self._process()
        try:
            await self._ended
        finally:
            self._on_packet = None
        error, self._error = self._error, None
        if error is None:
            return
        try:
            raise error
        finally:
            # Its traceback holds this frame.
            del error

    def finish(self, error: Exception | None = None) -> None:
        """Handle no more packets. Finishing twice is fine."""
        self._on_packet = None
        if not self._ended.done():
            self._error = error
            self._ended.set_result(None)

    def stop_receiving(self) -> None:
        """Handle no more packets, without an end of `serve`: what is sent is still written."""
        self._on_packet = None

    def allow_packets(
        self, max_packet_bytes: int, *, is_3_1: bool = False, is_5: bool = False
    ) -> None:
        """Change the size limit, which is lower before the login: see `Framer.allow`."""
        self._framer.allow(max_packet_bytes, is_3_1=is_3_1, is_5=is_5)

    def pause(self) -> None:
        """Handle no packets, and soon read nothing any more, until `resume`."""
        self._is_paused = True

    def resume(self) -> None:
        if self._is_paused:
            self._is_paused = False
            self._process_soon()

    def get_buffer(self, _size_hint: int) -> memoryview:
        return self._round.buffer

    def buffer_updated(self, count: int) -> None:
        self.data_received(bytes(self._round.buffer[:count]))

    def data_received(self, data: bytes) -> None:
        """Handle the packets in `data`, and keep the start of one that is not whole yet."""
        self._counters.bytes_received += len(data)
        self._framer.feed(data)
        if not self._is_yielding:
            self._round.begin()
            self._process()
            self._round.end()

    def eof_received(self) -> bool:
        """Keep the connection open for the answers to what is still to be handled."""
        self._is_at_end = True
        if not self._is_yielding:
            self._process()
        # TLS has no half-closed connection.
        return self._transport.get_extra_info("sslcontext") is None

    def connection_lost(self, _error: Exception | None) -> None:
        self._is_at_end = True
        self._batch.clear()
        self._batch_bytes = 0
        self._is_write_paused = False
        self._on_drained = None
        self._transport = ClosedTransport(self._transport)
        self._process_soon()

    def _process(self) -> None:
        """Handle the packets that have come, for a limited time."""
        try:
            if self._process_slice():
                self._read_on()
            elif self._is_reading:
                self._is_reading = False
                self._transport.pause_reading()
        except Exception as e:  # noqa: BLE001 - the owner of the connection decides
            self.finish(e)

    def _process_slice(self) -> bool:
        """Return whether all whole packets were handled."""
        framer, counters = self._framer, self._counters
        now_s = self._loop.time()
        end_s = now_s + _SLICE_S
        while self._on_packet is not None and not (
            self._is_paused or self._is_write_paused or self._batch_bytes > _MAX_BUFFERED_BYTES
        ):
            packet = framer.next()
            if packet is None:
                return True
            self.read_s = now_s
            counters.messages_received += 1
            self._on_packet(packet)
            now_s = self._loop.time()
            if now_s > end_s:
                self._process_soon()
                return False
        return False

    def _process_soon(self) -> None:
        if not self._is_yielding:
            self._is_yielding = True
            self._loop.call_soon(self._process_again)

    def _process_again(self) -> None:
        self._is_yielding = False
        self._process()

    def _read_on(self) -> None:
        if self._is_at_end:
            self.finish()
        elif not self._is_reading:
            self._is_reading = True
            self._transport.resume_reading()

    @property
    def is_congested(self) -> bool:
        """Whether too much of what was written is not taken yet."""
        return self._is_write_paused or self._batch_bytes > _MAX_BUFFERED_BYTES

    @property
    def is_closing(self) -> bool:
        return self._transport.is_closing()

    @property
    def certificate_name(self) -> str | None:
        """The common name of the client's certificate, where it has shown one."""
        certificate = self._transport.get_extra_info("peercert") or {}
        names = dict(pair for group in certificate.get("subject", ()) for pair in group)
        return names.get("commonName")

    def send(self, packet: bytes) -> None:
        """Write a packet, together with all others of this round of the loop."""
        if not self._batch:
            self._round.add(self)
        self._batch.append(packet)
        self._batch_bytes += len(packet)
        self._counters.messages_sent += 1

    def when_drained(self, callback: Callable[[], None]) -> None:
        """Call `callback` once, when the client has taken most of what was written."""
        self._on_drained = callback

    def pause_writing(self) -> None:
        self._is_write_paused = True

    def resume_writing(self) -> None:
        self._is_write_paused = False
        self._process_soon()
        self._drained()

    def flush(self) -> None:
        """Write what `send` has gathered."""
        if not self._batch:
            return
        if self._batch_bytes > _MAX_BUFFERED_BYTES:
            self._process_soon()
        data = self._batch[0] if len(self._batch) == 1 else b"".join(self._batch)
        self._batch.clear()
        self._batch_bytes = 0
        if self._transport.is_closing():
            return
        self._counters.bytes_sent += len(data)
        self._transport.write(data)
        if self._on_drained is not None and not self._is_write_paused:
            self._drained()

    def _drained(self) -> None:
        callback, self._on_drained = self._on_drained, None
        if callback is not None and not self._transport.is_closing():
            callback()

    def abort(self) -> None:
        """Close at once, without what the client has not taken."""
        self._batch.clear()
        self._batch_bytes = 0
        self._transport.abort()

    def close(self) -> None:
        """Close when the client has taken what was written, or after a second. Twice is fine.

        Nothing that has come is handled any more.
        """
        self._framer.clear()
        self._is_paused = False
        if self._transport.is_closing():
            return
        if self.is_congested:
            self.abort()
            return
        self.flush()
        self._transport.close()
        self._loop.call_later(_LAST_PACKET_S, self._transport.abort)
