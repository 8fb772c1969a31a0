"""Flood: nodes that publish far more than the hub can take, beside one at a message a second.

Prints how long the bystander's readings take to `stored`, whether any acknowledged reading is
missing from the history, who was disconnected, and the hub's memory.
"""

import argparse
import asyncio
import contextlib
import secrets
import sqlite3
import tempfile
import time
from pathlib import Path

import msgspec

from bench.raw_mqtt import RawClient
from bench.virtual_nodes import rss_mb, whole_hub
from bus.contract.messages import Reading, Stored, encode
from tests.broker.embedded.raw import connect
from tests.support import HOST

_TICK_S = 0.05
# Bytes that a flooder's own socket may hold back before it waits, as any program would.
_MAX_BUFFERED_BYTES = 256 * 1024
_DRAIN_S = 60.0
_STORED = msgspec.json.Decoder(Stored)


class Node:
    """One node: what it published, and which of it was acknowledged and stored."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.stream = secrets.token_hex(8)
        self.published = 0
        self.stored: set[int] = set()
        self.refused = 0
        self.delays_s: list[float] = []
        self._sent_s: dict[int, float] = {}
        self.client: RawClient

    async def connect(self, port: int, token: str) -> None:
        loop = asyncio.get_running_loop()
        _, self.client = await loop.create_connection(lambda: RawClient(self._heard), HOST, port)
        answer = await self.client.ask(
            connect(self.name, username=self.name, password=token.encode(), keep_alive_s=60)
        )
        if answer[3] != 0:
            raise ConnectionRefusedError(f"the broker answered {answer.hex()}")
        await self.client.subscribe([(f"harvester/{self.name}/stored", 1)])

    def publish(self, count: int) -> None:
        for _ in range(count):
            self.published += 1
            reading = Reading(
                node=self.name,
                sensor_id="x",
                timestamp_ms=time.time_ns() // 1_000_000,
                stream=self.stream,
                seq=self.published,
                data={"temperature": 21.5, "humidity": 40.25},
            )
            self._sent_s[self.published] = time.perf_counter()
            self.client.publish(f"harvester/{self.name}/readings/x", encode(reading), 1)

    @property
    def is_connected(self) -> bool:
        return not self.client.lost.done()

    @property
    def answered(self) -> int:
        return len(self.stored) + self.refused

    def _heard(self, payload: bytes) -> None:
        now_s = time.perf_counter()
        message = _STORED.decode(payload)
        for first, last in message.ranges:
            for seq in range(first, last + 1):
                self.stored.add(seq)
                self.delays_s.append(now_s - self._sent_s.pop(seq, now_s))
        self.refused += sum(last - first + 1 for first, last in message.refused)


async def flood(node: Node, rate: float, seconds: float) -> None:
    began_s = time.perf_counter()
    due = 0.0
    while time.perf_counter() - began_s < seconds and node.is_connected:
        await asyncio.sleep(_TICK_S)
        if node.client.transport.get_write_buffer_size() < _MAX_BUFFERED_BYTES:
            due = min(due + rate * _TICK_S, rate)
            node.publish(int(due))
            due -= int(due)


async def trickle(node: Node, seconds: float) -> None:
    began_s = time.perf_counter()
    while time.perf_counter() - began_s < seconds:
        node.publish(1)
        await asyncio.sleep(1.0)


async def run(arguments: argparse.Namespace, directory: Path) -> None:
    flooders = [Node(f"flood{n}") for n in range(arguments.flooders)]
    bystander = Node("bystander")
    nodes = [*flooders, bystander]
    names = [node.name for node in nodes]
    with whole_hub(directory, names, history__commit_s=arguments.commit) as hub:
        for node in nodes:
            await node.connect(hub.port, hub.tokens[node.name])
        rate = arguments.rate / len(flooders)
        async with asyncio.TaskGroup() as group:
            for node in flooders:
                group.create_task(flood(node, rate, arguments.seconds))
            group.create_task(trickle(bystander, arguments.seconds))
        hub_mb = rss_mb(hub.pid)
        await _drain(nodes)
        connected = [node.is_connected for node in nodes]
        acknowledged = {node.name: node.client.acknowledged for node in nodes}
        for node in nodes:
            node.client.transport.close()
        hub.service.stop()
    _report(nodes, acknowledged, directory)
    print(f"disconnected: {connected.count(False)} of {len(nodes)}; hub {hub_mb:.0f} MB")


async def _drain(nodes: list[Node]) -> None:
    """Wait until everything that was published is acknowledged and answered."""
    deadline_s = time.perf_counter() + _DRAIN_S
    while time.perf_counter() < deadline_s:
        waiting = [n for n in nodes if n.is_connected and n.answered < n.published]
        if not waiting:
            return
        await asyncio.sleep(0.1)


def _report(nodes: list[Node], acknowledged: dict[str, int], directory: Path) -> None:
    with contextlib.closing(sqlite3.connect(directory / "history.db")) as db:
        rows = dict(db.execute("SELECT node, count(*) FROM readings GROUP BY node"))
    for node in nodes:
        delays = sorted(node.delays_s)
        p50, p99 = (
            (delays[int(len(delays) * part)] for part in (0.5, 0.99)) if delays else (0.0, 0.0)
        )
        print(
            f"{node.name:10} published {node.published:7} acknowledged {acknowledged[node.name]:7} "
            f"in the history {rows.get(node.name, 0):7} refused {node.refused:6} "
            f"stored after p50 {p50:.2f} s, p99 {p99:.2f} s"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--rate", type=float, default=5_000.0, help="of all flooders together")
    parser.add_argument("--commit", type=float, default=2.0, help="interval in seconds")
    parser.add_argument("--flooders", type=int, default=1)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        asyncio.run(run(arguments, Path(name)))


if __name__ == "__main__":
    main()
