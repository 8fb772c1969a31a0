"""Load process of the cost model: the nodes of `bench.fleet.load`, whose bytes are counted.

With the argument `quiet`, the nodes read no sensor and send heartbeats alone. Reads a `Plan` from
its input, prints a `Sample` a second.
"""

import asyncio
import contextlib
import gc
import sys
import time

import msgspec

from bench.fleet.load import Load, Plan
from bench.fleet.node import FleetNode
from bus import file_limit
from bus.clock import now_ms
from bus.contract.messages import Heartbeat, encode


class Sample(msgspec.Struct, frozen=True):
    """Counters so far: readings that nodes took, bytes of the nodes to the hub and back."""

    at_s: float
    connected: int
    created: int
    sent_bytes: int
    received_bytes: int
    is_last: bool


class CountingNode(FleetNode):
    """A node that counts its bytes in `sent` and `received` of its class."""

    sent = 0
    received = 0

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
            self._cycles += 1
            beat = Heartbeat(self._cycles, 1.0, 40.0, 12.0, 0, 0, now_ms())
            self._publish(f"harvester/{self.name}/heartbeat", encode(beat), 0)


class CountedLoad(Load):
    """The nodes of one plan, all of one class."""

    def __init__(self, plan: Plan, node_class: type[CountingNode]) -> None:
        self._node_class = node_class
        super().__init__(plan)

    def made(self, _number: int, *known: object) -> FleetNode:
        return self._node_class(*known)  # type: ignore[arg-type]

    def _print(self, *, is_last: bool) -> None:
        totals = self._totals
        totals.took_s, totals.old_took_s = [], []
        sample = Sample(
            *(time.monotonic(), totals.connected, totals.created),
            *(CountingNode.sent, CountingNode.received, is_last),
        )
        sys.stdout.write(msgspec.json.encode(sample).decode() + "\n")
        sys.stdout.flush()


async def main() -> None:
    plan = msgspec.json.decode(sys.stdin.read(), type=Plan)
    file_limit.raise_by(len(plan.tokens) + 100)
    load = CountedLoad(plan, QuietNode if sys.argv[1:] == ["quiet"] else CountingNode)
    # Nothing of this is ever garbage.
    gc.freeze()
    gc.disable()
    await load.run()


if __name__ == "__main__":
    with contextlib.suppress(BrokenPipeError, KeyboardInterrupt):
        asyncio.run(main())
