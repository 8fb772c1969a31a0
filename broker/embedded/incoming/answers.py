"""Answers to the packets of one connection, in order, once what they promise is on the disk."""

from collections.abc import Sequence

from broker.embedded.net.connection import Connection
from broker.embedded.packets.model import PacketType
from broker.embedded.session import ClientSession
from broker.embedded.store.writer import Durable

# Above so many, nothing is read from the client.
_MAX_WAITING = 1_000


class Answers:
    """Answers that wait for the disk. Reading pauses while they are too many."""

    __slots__ = ("_connection", "_session", "_waiting")

    def __init__(self, connection: Connection, session: ClientSession) -> None:
        self._connection = connection
        self._session = session
        # A list needs a tenth of a deque's memory, and is short.
        self._waiting: list[tuple[Sequence[Durable], bytes]] = []

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def are_too_many(self) -> bool:
        return len(self._waiting) > _MAX_WAITING

    @property
    def pubacks(self) -> int:
        """The number of PUBACK among them."""
        return sum(answer[0] >> 4 == PacketType.PUBACK for _, answer in self._waiting)

    def send(self, durable: Sequence[Durable], answer: bytes) -> None:
        """Answer once everything is on the disk, in the order of arrival (MQTT-4.6.0-2).

        An empty answer, too large for the client, is not sent (MQTT-3.1.2-24).
        """
        if not answer:
            return
        if not (durable or self._waiting):
            self._connection.send(answer)
            return
        self._waiting.append((durable, answer))
        if len(self._waiting) == 1:
            self._send_ready()
        elif self.are_too_many:
            self._connection.pause()

    def clear(self) -> None:
        """Send nothing more."""
        self._waiting.clear()

    def _send_ready(self, _durable: Durable | None = None) -> None:
        """Send those that wait for nothing any more; go on with the first of the others."""
        waiting = self._waiting
        were_too_many = self.are_too_many
        while waiting:
            awaited = next((future for future in waiting[0][0] if not future.done()), None)
            if awaited is not None:
                awaited.add_done_callback(self._send_ready)
                break
            self._connection.send(waiting.pop(0)[1])
        if were_too_many and not self.are_too_many and not self._session.is_unread:
            self._connection.resume()
