"""Load process of the cost model: the nodes of `bench.fleet.load`, whose bytes are counted.

Reads a `CountedPlan` from its input, prints a `Sample` a second.
"""

import asyncio
import contextlib
import random
import sys
import time

import msgspec

from bench.fleet.load import Load, Plan, serve
from bench.fleet.node import SENSORS, FleetNode

# Part of an interval by which a sensor that sends alone is early or late.
_JITTER = 0.1


class CountedPlan(Plan, frozen=True):
    """A plan, and the kind of its nodes: all sensors together in each interval if none is named.

    `quiet` nodes send heartbeats alone. With `apart_s`, each sensor sends at times of its own, in
    an interval between these two, and the heartbeat comes alone.
    """

    quiet: bool = False
    apart_s: tuple[float, float] | None = None


class Sample(msgspec.Struct, frozen=True):
    """Counters so far: readings that nodes took, bytes of the nodes to the hub and back.

    An arrival is a reading, or the readings that a node sends at once.
    """

    at_s: float
    connected: int
    created: int
    arrivals: int
    sent_bytes: int
    received_bytes: int
    is_last: bool


class CountingNode(FleetNode):
    """A node that counts arrivals and its bytes at its class."""

    arrivals = 0
    sent = 0
    received = 0

    def cycle(self) -> None:
        CountingNode.arrivals += self.is_producing
        super().cycle()

    def data_received(self, data: bytes) -> None:
        CountingNode.received += len(data)
        super().data_received(data)

    def _write(self, data: bytes) -> None:
        CountingNode.sent += len(data)
        super()._write(data)


class QuietNode(CountingNode):
    """A node without sensors."""

    def cycle(self) -> None:
        if self.is_producing:
            self._loop.call_later(self._interval_s, self.cycle)
        if self._is_ready:
            self._beat()


class ApartNode(CountingNode):
    """A node whose sensors send at times of their own, each in an interval of its own.

    The sensors take turns, so that the number of a reading tells its sensor.
    """

    apart_s = (0.0, 0.0)
    _is_reading = False

    def cycle(self) -> None:
        """Beat; the first time, begin to read the sensors."""
        if not self._is_reading:
            self._is_reading = True
            for _ in SENSORS:
                interval_s = random.uniform(*self.apart_s)
                self._loop.call_later(random.uniform(0, interval_s), self._read, interval_s)
        if self.is_producing or self._outbox:
            self._loop.call_later(self._interval_s, self.cycle)
        if self._is_ready:
            self._send_due()
            self._beat()

    def _read(self, interval_s: float) -> None:
        if not self.is_producing:
            return
        pause_s = interval_s * random.uniform(1 - _JITTER, 1 + _JITTER)
        self._loop.call_later(pause_s, self._read, interval_s)
        self._create(1)
        CountingNode.arrivals += 1
        if self._is_ready:
            self._send_due()


class CountedLoad(Load):
    """The nodes of one plan, all of one kind."""

    def __init__(self, plan: CountedPlan) -> None:
        self._kind = plan
        super().__init__(plan)

    def made(self, _number: int, *known: object) -> FleetNode:
        if self._kind.apart_s is not None:
            node = ApartNode(*known)  # type: ignore[arg-type]
            node.apart_s = self._kind.apart_s
            return node
        return (QuietNode if self._kind.quiet else CountingNode)(*known)  # type: ignore[arg-type]

    def _print(self, *, is_last: bool) -> None:
        totals = self._totals
        totals.took_s, totals.old_took_s = [], []
        sample = Sample(
            *(time.monotonic(), totals.connected, totals.created, CountingNode.arrivals),
            *(CountingNode.sent, CountingNode.received, is_last),
        )
        sys.stdout.write(msgspec.json.encode(sample).decode() + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    with contextlib.suppress(BrokenPipeError, KeyboardInterrupt):
        asyncio.run(serve(CountedPlan, CountedLoad))
