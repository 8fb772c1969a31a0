"""A TCP proxy between two programs, whose link can be cut, dropped, stalled and slowed.

It runs on an event loop in a thread of its own; its public methods may be called from any other.
"""

import asyncio
import contextlib
import ctypes
import enum
import socket
import struct
import threading
from collections.abc import Coroutine
from typing import Any, Self

from tests.support import HOST, WAIT_S

# Small pieces, so that a cut falls into the middle of a packet.
_PIECE_BYTES = 512
# What a slow link carries, in pieces: some 5 kB a second and 100 ms of delay.
_SLOW_PIECE_S = 0.1
# The loop takes fewer than these from accepting a connection to the task that carries it.
_ROUNDS_TO_ACCEPT = 10
# socket(7): a filter that the kernel runs on each packet of a socket; the socket module names none.
_SO_ATTACH_FILTER, _SO_DETACH_FILTER = 26, 27
# <linux/filter.h>: BPF_RET | BPF_K with 0, which keeps no byte of any packet.
_DROP_ALL = struct.pack("HBBI", 0x06, 0, 0, 0)


class Way(enum.Flag):
    """A direction of the link."""

    UP = enum.auto()  # from the node to the broker
    DOWN = enum.auto()
    BOTH = UP | DOWN


class _EndedError(Exception):
    """One end of a connection has closed it."""


class Proxy:
    """Carries connections from `port`, its own, to `to_port` until it is told otherwise."""

    def __init__(self, port: int, to_port: int, *, piece_bytes: int = _PIECE_BYTES) -> None:
        self.port = port
        self._to_port = to_port
        self._piece_bytes = piece_bytes
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name=f"proxy-{port}")
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._flows = {way: asyncio.Event() for way in (Way.UP, Way.DOWN)}
        self._is_slow = False
        # Sockets whose packets are dropped.
        self._dropping: list[socket.socket] = []

    def __enter__(self) -> Self:
        self._thread.start()
        self._do(self._heal())
        return self

    def __exit__(self, *_: object) -> None:
        self._do(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(WAIT_S)
        self._loop.close()

    def cut(self) -> None:
        """Reset every connection, with what it still carries, and refuse new ones until `heal`."""
        self._do(self._cut())

    def drop(self) -> None:
        """Drop every packet as a firewall does, without a word to either end, until `heal`."""
        self._do(self._drop())

    def stall(self, way: Way) -> None:
        """Take bytes of `way` as far as the buffers go, and carry none until `heal`."""
        self._do(self._stall(way))

    def slow(self) -> None:
        """Carry few bytes a second, and late, until `heal`."""
        self._is_slow = True

    def heal(self) -> None:
        """Carry everything at once again, in the order in which it came."""
        self._do(self._heal())

    def _do(self, coroutine: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(WAIT_S)

    async def _heal(self) -> None:
        self._is_slow = False
        self._pass_packets()
        for flow in self._flows.values():
            flow.set()
        if self._server is None:
            self._server = await asyncio.start_server(self._carry, HOST, self.port)

    async def _drop(self) -> None:
        await self._stall(Way.BOTH)
        ends = [writer.get_extra_info("socket") for writer in self._writers]
        listening = self._server.sockets if self._server is not None else ()
        # Open until `heal`, so that not even an end that is closed says so to its peer.
        self._dropping += [end.dup() for end in (*ends, *listening)]
        for end in self._dropping:
            _drop_packets(end)

    def _pass_packets(self) -> None:
        for end in self._dropping:
            end.setsockopt(socket.SOL_SOCKET, _SO_DETACH_FILTER, 0)
            end.close()
        self._dropping = []

    async def _stall(self, way: Way) -> None:
        for each, flow in self._flows.items():
            if each in way:
                flow.clear()

    async def _cut(self) -> None:
        self._pass_packets()
        if self._server is not None:
            # asyncio 3.11 forgets a socket that it has accepted when the server is closed before
            # its transport is made. So no more are accepted first.
            for listening in self._server.sockets:
                self._loop.remove_reader(listening.fileno())
            for _ in range(_ROUNDS_TO_ACCEPT):
                await asyncio.sleep(0)
            self._server.close()
            self._server = None
        for writer in list(self._writers):
            # To close with a linger time of 0 s is to reset (socket(7), SO_LINGER).
            end = writer.get_extra_info("socket")
            with contextlib.suppress(OSError):  # it is closed already
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()

    async def _close(self) -> None:
        self._is_slow = False
        for flow in self._flows.values():
            flow.set()
        await self._cut()
        # Each that was accepted just now is let begin, and then cut.
        while tasks := asyncio.all_tasks() - {asyncio.current_task()}:
            for writer in self._writers:
                writer.transport.abort()
            await asyncio.wait(tasks, timeout=0.01)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ends = [writer]
        self._writers.add(writer)
        try:
            to_reader, to_writer = await asyncio.open_connection(HOST, self._to_port)
            ends.append(to_writer)
            self._writers.add(to_writer)
            async with asyncio.TaskGroup() as group:
                group.create_task(self._pump(reader, to_writer, self._flows[Way.UP]))
                group.create_task(self._pump(to_reader, writer, self._flows[Way.DOWN]))
        except* (OSError, _EndedError):
            pass
        finally:
            await self._part_with(ends)

    async def _part_with(self, ends: list[asyncio.StreamWriter]) -> None:
        for end in ends:
            end.close()
        await asyncio.gather(*(end.wait_closed() for end in ends), return_exceptions=True)
        self._writers.difference_update(ends)

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, flow: asyncio.Event
    ) -> None:
        """Carry one way until that end closes, which closes the other."""
        while piece := await reader.read(self._piece_bytes):
            if self._is_slow:
                await asyncio.sleep(_SLOW_PIECE_S)
            await flow.wait()
            writer.write(piece)
            await writer.drain()
        raise _EndedError


def _drop_packets(end: socket.socket) -> None:
    """Let the kernel drop what arrives at a socket: nothing is acknowledged."""
    program = ctypes.create_string_buffer(_DROP_ALL)
    # struct sock_fprog: how many instructions, and where they are.
    length_and_place = struct.pack("HP", 1, ctypes.addressof(program))
    end.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, length_and_place)
