"""Load process of the fleet: many virtual nodes in one event loop.

Reads a `Plan` from its input; prints a `Progress` a second, and after the end one more, when all is
stored or nothing came for `PATIENCE_S`.
"""

import asyncio
import contextlib
import gc
import random
import sys
import time
from collections.abc import Callable
from typing import Any, TypeVar

import msgspec

from bench.fleet.node import FleetNode, Totals
from bus.files import file_limit
from tests.support import HOST

PATIENCE_S = 60.0
_SPREAD = 100


class Plan(msgspec.Struct, frozen=True):
    """What the nodes do. They connect within `connect_s` and read every `interval_s`.

    `waiting` readings are in each outbox at the start. They produce for `seconds`.
    """

    port: int
    tokens: dict[str, str]
    interval_s: float
    connect_s: float
    seconds: float
    waiting: int = 0


AnyPlan = TypeVar("AnyPlan", bound=Plan)


class Progress(msgspec.Struct, frozen=True):
    """Counters so far; percentiles are of readings stored since the last line."""

    at_s: float
    connected: int
    connects: int
    created: int
    stored: int
    refused: int
    took_p50_s: float
    took_p99_s: float
    took_most_s: float
    old_p99_s: float
    # The most by which this process itself was late.
    late_s: float
    is_last: bool = False


def percentile(values: list[float], part: float) -> float:
    ordered = sorted(values)
    return round(ordered[min(int(len(ordered) * part), len(ordered) - 1)], 3) if ordered else 0.0


class Load:
    """The nodes of one plan."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._totals = Totals()
        self._loop = asyncio.get_running_loop()
        self._connecting = asyncio.Semaphore(_SPREAD)
        self._tasks: set[asyncio.Task[None]] = set()
        self._late_s = 0.0
        self.nodes = [
            self.made(
                *(number, name, token, plan.interval_s, self._totals, self._open), plan.waiting
            )
            for number, (name, token) in enumerate(plan.tokens.items())
        ]

    def made(self, _number: int, *known: Any) -> FleetNode:
        """Return a node; `known` is what its constructor takes."""
        return FleetNode(*known)

    def _open(self, node: FleetNode) -> None:
        task = self._loop.create_task(self._connect(node))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _connect(self, node: FleetNode) -> None:
        try:
            async with self._connecting:
                await self._loop.create_connection(lambda: node, HOST, self._plan.port)
        except OSError:
            node.connect_later()

    async def run(self) -> None:
        for number, node in enumerate(self.nodes):
            after_s = self._plan.connect_s * number / len(self.nodes)
            self._loop.call_later(after_s, node.connect)
            phase_s = random.uniform(0, self._plan.interval_s)
            self._loop.call_later(self._plan.connect_s + phase_s, node.cycle)
        end_s = time.monotonic() + self._plan.connect_s + self._plan.seconds
        while time.monotonic() < end_s:
            await self._tell()
        for node in self.nodes:
            node.is_producing = False
        await self._drain()
        self._print(is_last=True)

    async def _drain(self) -> None:
        totals, progress_s = self._totals, time.monotonic()
        while totals.stored + totals.refused < totals.created:
            before = totals.stored
            await self._tell()
            if totals.stored > before:
                progress_s = time.monotonic()
            if time.monotonic() - progress_s > PATIENCE_S:
                return

    async def _tell(self) -> None:
        due_s = time.monotonic() + 1.0
        while (left_s := due_s - time.monotonic()) > 0:
            began_s = time.monotonic()
            step_s = min(0.02, left_s)
            await asyncio.sleep(step_s)
            self._late_s = max(self._late_s, time.monotonic() - began_s - step_s)
        self._print(is_last=False)

    def _print(self, *, is_last: bool) -> None:
        totals = self._totals
        took_s, totals.took_s = totals.took_s, []
        old_s, totals.old_took_s = totals.old_took_s, []
        progress = Progress(
            *(time.monotonic(), totals.connected, totals.connects),
            *(totals.created, totals.stored, totals.refused),
            *(percentile(took_s, 0.5), percentile(took_s, 0.99), round(max(took_s, default=0), 3)),
            *(percentile(old_s, 0.99), round(self._late_s, 3), is_last),
        )
        self._late_s = 0.0
        sys.stdout.write(msgspec.json.encode(progress).decode() + "\n")
        sys.stdout.flush()


async def serve(kind: type[AnyPlan], load: Callable[[AnyPlan], Load]) -> None:
    """Run the nodes of the plan that comes on the standard input."""
    plan = msgspec.json.decode(sys.stdin.read(), type=kind)
    file_limit.raise_by(len(plan.tokens) + 100)
    made = load(plan)
    # Nothing of this is ever garbage.
    gc.freeze()
    gc.disable()
    await made.run()


if __name__ == "__main__":
    with contextlib.suppress(BrokenPipeError, KeyboardInterrupt):
        asyncio.run(serve(Plan, Load))
