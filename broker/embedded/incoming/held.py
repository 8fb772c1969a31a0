"""Back-pressure on one publisher: its packets wait behind a PUBLISH that filled a queue."""

import asyncio
import functools
from collections.abc import Callable, Generator, Sequence
from typing import TypeVar

from broker.embedded.incoming.answers import Answers
from broker.embedded.incoming.works import Works
from broker.embedded.net.connection import Connection
from broker.embedded.packets.model import Packet, PacketType, ViolationError
from broker.embedded.session import ClientSession

# Packets that wait while a publisher is held back, in bytes: above it, nothing is read any more.
_MAX_HELD_BYTES = 64 * 1024
# What each costs beside its body.
_PACKET_BYTES = 100
# These do not wait behind a PUBLISH that does: what this client acknowledges makes room for others.
_OVERTAKING = frozenset(
    {
        PacketType.PUBACK,
        PacketType.PUBREC,
        PacketType.PUBREL,
        PacketType.PUBCOMP,
        PacketType.PINGREQ,
        PacketType.DISCONNECT,
    }
)

T = TypeVar("T")


class HeldPackets:
    """Packets that wait for room in the queues that their client has filled.

    `handle` is called for each packet whose turn it is.
    """

    __slots__ = (
        *("_connection", "_session", "_answers", "_handle", "_works", "_loop", "_room", "_held"),
        *("_held_bytes", "_is_holding", "_violation", "_is_closed", "_none_held"),
    )

    def __init__(
        self,
        connection: Connection,
        session: ClientSession,
        answers: Answers,
        handle: Callable[[Packet], None],
        works: Works,
    ) -> None:
        self._connection = connection
        self._session = session
        self._answers = answers
        self._handle = handle
        self._works = works
        self._loop = asyncio.get_running_loop()
        self._room: list[asyncio.Future[bool]] = []
        # A list needs a tenth of a deque's memory, and is short.
        self._held: list[Packet] = []
        self._held_bytes = 0
        # Whether there is anything in these two.
        self._is_holding = False
        self._violation: ViolationError | None = None
        self._is_closed = False
        # Of whoever waits until nothing is held.
        self._none_held: asyncio.Future[None] | None = None

    def take(self, packet: Packet) -> None:
        """Handle a packet; one that follows a held PUBLISH waits behind it."""
        if self._is_holding and packet.kind not in _OVERTAKING:
            self._held.append(packet)
            self._held_bytes += _PACKET_BYTES + len(packet.body)
            if self._held_bytes > _MAX_HELD_BYTES:
                self._stop_reading()
            return
        self._handle(packet)

    def hold(self, room: Sequence["asyncio.Future[bool]"]) -> None:
        """Handle no PUBLISH until there is room in the queues that this client has filled."""
        self._room = [future for future in room if not future.done()]
        self._is_holding = bool(self._room or self._held)
        for future in self._room:
            future.add_done_callback(self._resume)

    def work(self, slices: Generator[None, None, T], done: Callable[[T], None]) -> None:
        """Begin a long work, and call `done` with its result; the packets behind it wait."""
        try:
            next(slices)
        except StopIteration as e:
            done(e.value)
            return
        end: asyncio.Future[bool] = self._loop.create_future()
        self.hold([end])
        self._works.add(functools.partial(self._work_on, slices, done, end))

    def _work_on(
        self,
        slices: Generator[None, None, T],
        done: Callable[[T], None],
        end: "asyncio.Future[bool]",
    ) -> None:
        """Do the next slice; the other clients have their turn before the one after it."""
        if self._is_closed:
            return
        try:
            next(slices)
        except StopIteration as e:
            done(e.value)
            end.set_result(True)
        except ViolationError as e:
            self._violate(e)
            self._wake()
        except Exception as e:  # noqa: BLE001 - the owner of the connection decides
            self._connection.finish(e)
        else:
            self._works.add(functools.partial(self._work_on, slices, done, end))

    async def wait_until_handled(self) -> None:
        """Return when no packet waits: what a client sent before its end counts.

        Raises ViolationError where one of them was malformed.
        """
        if self._is_holding and not self._is_closed:
            self._stop_reading()
            self._none_held = self._loop.create_future()
            await self._none_held
        if self._violation is not None:
            raise self._violation

    def close(self) -> None:
        """Handle nothing more."""
        self._is_closed = True
        self._held.clear()
        self._wake()
        self._session.is_unread = False
        # Both hold the owner of these packets.
        self._handle = _ignore
        self._violation = None

    def _wake(self) -> None:
        """Let go on whoever waits until nothing is held."""
        if self._none_held is not None and not self._none_held.done():
            self._none_held.set_result(None)

    def _resume(self, _room: "asyncio.Future[bool]") -> None:
        """Handle the packets that waited, up to one that has to wait again."""
        if self._is_closed or not all(future.done() for future in self._room):
            return
        self._room = []
        try:
            while self._held and not self._room:
                packet = self._held.pop(0)
                self._held_bytes -= _PACKET_BYTES + len(packet.body)
                self._handle(packet)
        except ViolationError as e:
            self._violate(e)
        self._is_holding = bool(self._room or self._held)
        if not self._is_holding:
            self._wake()
            self._read_on()

    def _violate(self, error: ViolationError) -> None:
        self._violation = error
        self._room = []
        self._held.clear()
        self._is_holding = False
        self._connection.finish(error)

    def _stop_reading(self) -> None:
        """Read nothing while packets are held; what comes meanwhile stays in the client's socket.

        Nobody waits for this client then, since its acknowledgements are not read: two clients that
        fill each other's queues do not wait for each other.
        """
        self._connection.pause()
        self._session.is_unread = True
        self._session.release_publishers()

    def _read_on(self) -> None:
        """Read again what was left in the client's socket, if nothing else is waited for."""
        if self._session.is_unread:
            self._session.is_unread = False
            self._connection.read_s = self._loop.time()
        if not self._answers.are_too_many:
            self._connection.resume()


def _ignore(_packet: Packet) -> None:
    pass
