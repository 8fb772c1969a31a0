"""Server's end of a WebSocket: the protocol of a socket, and the transport of a `Connection`."""

import asyncio
from typing import Any, cast

from broker.embedded.net.closed_transport import ClosedTransport
from broker.embedded.net.connection import Connection
from broker.embedded.net.deadline import PeerDeadline
from broker.embedded.net.round import Round
from broker.embedded.net.websocket.frames import (
    CloseCode,
    FrameDecoder,
    FrameError,
    Opcode,
    close_code,
    close_frame,
    encode,
)
from broker.embedded.net.websocket.handshake import (
    END_OF_REQUEST,
    MAX_REQUEST_BYTES,
    HandshakeError,
    WebSocketPolicy,
    answer,
)

# The time for a client to take the last frame before the socket is closed.
_LAST_FRAME_S = 1.0
_START_OF_REQUEST = b"GET "


class WebSocket(asyncio.BufferedProtocol, asyncio.Transport):
    """Carries the bytes of `connection` in binary frames, after the handshake.

    `policy` decides which web pages may connect.
    """

    def __init__(self, connection: Connection, policy: WebSocketPolicy, loop_round: Round) -> None:
        self._connection = connection
        self._policy = policy
        self._round = loop_round
        self._loop = asyncio.get_running_loop()
        self._socket: asyncio.Transport
        self._request = b""
        # What is wrong with the handshake, None where it was accepted.
        self._handshake: asyncio.Future[HandshakeError | None] = self._loop.create_future()
        self._decoder = FrameDecoder()
        # A close frame was sent: nothing but the peer's own is expected any more.
        self._has_sent_close = False
        # The peer sends nothing any more, no close frame either.
        self._is_at_end = False
        self._is_lost = asyncio.Event()
        self._is_write_paused = False
        # The answer to the newest ping while the peer takes nothing (section 5.5.3).
        self._pong: bytes | None = None

    async def open(self, deadline_s: float) -> None:
        """Wait for the end of the handshake. Raises HandshakeError; the socket is closing then."""
        try:
            async with PeerDeadline(deadline_s):
                error = await self._handshake
        except TimeoutError as e:
            self.abort()
            raise HandshakeError("no request in time") from e
        except BaseException:
            # Nobody waits for its end any more: an eviction, or the end of the broker.
            self.abort()
            raise
        if error is not None:
            self._close_soon()
            # Another one: the traceback of this one would hold this object.
            raise HandshakeError(str(error))

    async def wait_closed(self) -> None:
        """Wait until the socket is closed; close it at once where that is cancelled."""
        try:
            await self._is_lost.wait()
        except BaseException:
            self.abort()
            raise

    # Protocol of the socket.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # Not checked, as uvloop's is no subclass.
        self._socket = cast(asyncio.Transport, transport)
        self._connection.connection_made(self)

    def get_buffer(self, _size_hint: int) -> memoryview:
        return self._round.buffer

    def buffer_updated(self, count: int) -> None:
        data = bytes(self._round.buffer[:count])
        if self._handshake.done():
            self._read_frames(data)
        else:
            self._read_request(data)

    def eof_received(self) -> bool:
        if not self._handshake.done():
            self._end_handshake(HandshakeError("the other side closed the connection"))
            return False
        self._is_at_end = True
        if self._has_sent_close:
            self._close_soon()
        return self._connection.eof_received()

    def connection_lost(self, error: Exception | None) -> None:
        self._end_handshake(HandshakeError("the other side closed the connection"))
        self._connection.connection_lost(error)
        self._socket = ClosedTransport(self._socket)
        self._is_lost.set()

    def pause_writing(self) -> None:
        self._is_write_paused = True
        self._connection.pause_writing()

    def resume_writing(self) -> None:
        self._is_write_paused = False
        pong, self._pong = self._pong, None
        if pong is not None:
            self._answer_ping(pong)
        self._connection.resume_writing()

    # Transport of the connection.

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if not self._has_sent_close:
            self._socket.write(encode(Opcode.BINARY, bytes(data)))

    def close(self) -> None:
        """Send a close frame. The connection aborts where the peer's own does not come soon."""
        if not self._has_sent_close:
            self._send_close(CloseCode.NORMAL)
            # It may have stopped in front of the peer's.
            self._socket.resume_reading()
        if self._is_at_end:
            self._close_soon()

    def abort(self) -> None:
        self._has_sent_close = True
        self._socket.abort()

    def is_closing(self) -> bool:
        return self._has_sent_close or self._socket.is_closing()

    def pause_reading(self) -> None:
        self._socket.pause_reading()

    def resume_reading(self) -> None:
        self._socket.resume_reading()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self._socket.set_write_buffer_limits(high, low)

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self._socket.get_extra_info(name, default)

    def _read_request(self, data: bytes) -> None:
        self._request += data
        head, found, rest = self._request.partition(END_OF_REQUEST)
        is_http = self._request[: len(_START_OF_REQUEST)] == _START_OF_REQUEST[: len(self._request)]
        if len(head) > MAX_REQUEST_BYTES or not is_http:
            self._end_handshake(HandshakeError("no HTTP request, or too large a one"))
        elif found:
            self._request = b""
            self._answer(head + found)
            self._read_frames(rest)

    def _answer(self, request: bytes) -> None:
        try:
            answered = answer(request, self._connection.address, self._policy)
        except HandshakeError as e:
            self._end_handshake(e)
            return
        self._socket.write(answered.response)
        if answered.error:
            self._end_handshake(HandshakeError(answered.error))
            return
        self._connection.address = answered.address
        self._end_handshake(None)

    def _end_handshake(self, error: HandshakeError | None) -> None:
        if not self._handshake.done():
            self._has_sent_close = error is not None
            self._handshake.set_result(error)

    def _read_frames(self, data: bytes) -> None:
        try:
            for opcode, payload in self._decoder.feed(data):
                if self._socket.is_closing():
                    return
                self._take(opcode, payload)
        except FrameError as e:
            if not self._has_sent_close:
                self._send_close(e.code)
                self._connection.finish(e)
            self._close_soon()

    def _take(self, opcode: Opcode, payload: bytes) -> None:
        if opcode is Opcode.CLOSE:
            code = close_code(payload)
            if not self._has_sent_close:
                self._send_close(code)
            self._close_soon()
        elif self._has_sent_close:
            return
        elif opcode is Opcode.BINARY:
            self._connection.data_received(payload)
        elif opcode is Opcode.PING:
            self._answer_ping(payload)

    def _answer_ping(self, payload: bytes) -> None:
        if self._is_write_paused:
            self._pong = payload
        elif not self._has_sent_close:
            self._socket.write(encode(Opcode.PONG, payload))

    def _send_close(self, code: int | None) -> None:
        self._has_sent_close = True
        self._socket.write(close_frame(code))

    def _close_soon(self) -> None:
        """Close the socket when the peer has taken what was written, or after a second."""
        if not self._socket.is_closing():
            self._socket.close()
            self._loop.call_later(_LAST_FRAME_S, self._socket.abort)
