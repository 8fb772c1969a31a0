"""Client of QoS 2 that keeps its state through every cut, as MQTT asks."""

import contextlib
import itertools
import threading

from tests.broker.embedded.raw import (
    PUBCOMP,
    PUBLISH,
    PUBREC,
    PUBREL,
    RawClient,
    packet,
    publish,
    uint16,
)

_TOPIC = "exactly/once"
# Nothing that the other side is still to send takes that long, or it comes after a reconnect.
_QUIET_S = 0.5


class Publisher:
    """Publishes numbers, one window after the other. `released` ids need the PUBREL alone."""

    def __init__(self, count: int, window: int = 8) -> None:
        self._count = count
        self._window = window
        self._next = 0
        self._packet_id = 0
        # Packet id to number, None once it is released.
        self._open: dict[int, int | None] = {}

    @property
    def is_done(self) -> bool:
        return self._next == self._count and not self._open

    def resume(self, client: RawClient) -> None:
        for packet_id, number in self._open.items():
            self._send(client, packet_id, number, dup=True)
        self._send_more(client)

    def take(self, client: RawClient, kind: int, body: bytes) -> None:
        packet_id = int.from_bytes(body)
        if kind == PUBREC and packet_id in self._open:
            self._open[packet_id] = None
            self._send(client, packet_id, None)
        elif kind == PUBCOMP:
            self._open.pop(packet_id, None)
            self._send_more(client)

    def _send_more(self, client: RawClient) -> None:
        while len(self._open) < self._window and self._next < self._count:
            # Few ids, so that each is used again soon.
            self._packet_id = self._packet_id % (2 * self._window) + 1
            if self._packet_id in self._open:
                continue
            number = self._open[self._packet_id] = self._next
            # Before it is sent: that may fail.
            self._next += 1
            self._send(client, self._packet_id, number)

    def _send(
        self, client: RawClient, packet_id: int, number: int | None, *, dup: bool = False
    ) -> None:
        if number is None:
            client.send(packet(PUBREL << 4 | 2, uint16(packet_id)))
        else:
            client.send(publish(_TOPIC, b"%d" % number, 2, packet_id=packet_id, dup=dup))


class Subscriber:
    """Receives numbers, each once by method B of section 4.3.3."""

    def __init__(self) -> None:
        self.received: list[int] = []
        self._unreleased: set[int] = set()
        self._is_subscribed = False

    def resume(self, client: RawClient) -> None:
        if not self._is_subscribed:
            assert client.subscribe((_TOPIC, 2)) == [2]
            self._is_subscribed = True

    def take(self, client: RawClient, kind: int, body: bytes) -> None:
        if kind == PUBLISH:
            length = int.from_bytes(body[:2])
            packet_id = int.from_bytes(body[2 + length : 4 + length])
            if packet_id not in self._unreleased:
                self._unreleased.add(packet_id)
                self.received.append(int(body[4 + length :]))
            client.send(packet(PUBREC << 4, uint16(packet_id)))
        elif kind == PUBREL:
            packet_id = int.from_bytes(body)
            self._unreleased.discard(packet_id)
            client.send(packet(PUBCOMP << 4, uint16(packet_id)))


def serve(
    side: Publisher | Subscriber, client: RawClient, packets: int, reached: threading.Event
) -> None:
    """Handle packets until it is quiet or the broker is gone; tell when so many were handled."""
    with contextlib.suppress(ConnectionError, TimeoutError):
        side.resume(client)
        for count in itertools.count(1):
            found = client.read(_QUIET_S)
            if found is None:
                break
            side.take(client, found[0] >> 4, found[1])
            if count == packets:
                reached.set()
    reached.set()
