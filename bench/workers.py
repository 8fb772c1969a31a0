"""Two workers of a hub on an external broker, with kill -9 of a worker and of a broker's server.

    python -m bench.workers --broker mosquitto --nodes 300
    python -m bench.workers --broker nats --nodes 300          a cluster of three
    python -m bench.workers --broker nats --nodes 1000 --peer  and plain clients in place of workers

Virtual nodes read three sensors every `--interval` seconds and keep the readings until they are
stored. A worker and a server of the broker are killed and started again while they do. Printed are
the readings that were given and that the histories have, how long the last of them took, and the
CPU time of the broker and the workers for a reading. With `--peer`, the same nodes first have two
plain clients, which answer at once and store nothing, on servers of their own.
"""

import argparse
import asyncio
import contextlib
import itertools
import random
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from bench import plain_workers
from bench.fleet.load import percentile
from bench.fleet.node import FleetNode, Totals
from bench.virtual_nodes import thread_cpu_s
from bus.files import file_limit
from tests.broker.external.nats_server import NatsCluster, NatsServer
from tests.hub_app.bus_link.cluster import Server, Workers
from tests.support import HOST, free_port, program, settings, wait_until_listening

_CONNECT_S = 10.0
_AWAY_S = 5.0
_STEADY_S = 15.0
_PATIENCE_S = 120.0


class NatsNode(FleetNode):
    """Node on NATS: it retains no readings, and subscribes at QoS 0."""

    __slots__ = ()
    filter_qos = 0

    def _publish(self, topic: str, payload: bytes, qos: int, *, retain: bool = False) -> None:
        super()._publish(topic, payload, qos, retain=retain and "/readings/" not in topic)


class Nodes:
    """Nodes in this event loop; one that loses its server tries the next."""

    def __init__(
        self, kind: type[FleetNode], ports: Sequence[int], many: int, every_s: float
    ) -> None:
        self.totals = Totals()
        self._every_s = every_s
        count = len(ports)
        self._ports = {
            f"node-{number}": itertools.cycle([*ports[number % count :], *ports[: number % count]])
            for number in range(many)
        }
        self._tasks: set[asyncio.Task[None]] = set()
        self._nodes = [kind(name, "", every_s, self.totals, self._open, 0) for name in self._ports]

    def start(self) -> None:
        loop = asyncio.get_running_loop()
        for number, node in enumerate(self._nodes):
            loop.call_later(_CONNECT_S * number / len(self._nodes), node.connect)
            loop.call_later(_CONNECT_S + random.uniform(0, self._every_s), node.cycle)

    async def stop(self) -> float:
        """Stop reading; return the seconds until everything was stored."""
        began_s = progress_s = time.monotonic()
        for node in self._nodes:
            node.is_producing = False
        totals = self.totals
        while totals.stored < totals.created and time.monotonic() - progress_s < _PATIENCE_S:
            before = totals.stored
            await asyncio.sleep(0.2)
            if totals.stored > before:
                progress_s = time.monotonic()
        return time.monotonic() - began_s

    def _open(self, node: FleetNode) -> None:
        task = asyncio.get_running_loop().create_task(self._connect(node))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _connect(self, node: FleetNode) -> None:
        try:
            port = next(self._ports[node.name])
            await asyncio.get_running_loop().create_connection(lambda: node, HOST, port)
        except OSError:
            node.connect_later()


@contextlib.contextmanager
def mosquitto(folder: Path) -> Iterator[list[Server]]:
    port, config = free_port(), folder / "mosquitto.conf"
    config.write_text(
        f"listener {port} {HOST}\nallow_anonymous true\npersistence true\n"
        f"persistence_location {folder}/\nuser root\nset_tcp_nodelay true\n"
    )
    with Server([program("mosquitto"), "-c", str(config)], port) as server:
        yield [server]


@contextlib.contextmanager
def nats(folder: Path) -> Iterator[list[NatsServer]]:
    with NatsCluster(folder) as cluster:
        for server in cluster.servers:
            wait_until_listening(server.port)
        yield cluster.servers


class Cpu:
    """CPU time of processes by names, from one look to the next."""

    def __init__(self, pids: Mapping[str, Sequence[int]]) -> None:
        self._pids = pids
        self._spent_s = self._now_s()

    def _now_s(self) -> dict[str, float]:
        return {name: sum(map(thread_cpu_s, pids)) for name, pids in self._pids.items()}

    def text(self, readings: int) -> str:
        before_s, self._spent_s = self._spent_s, self._now_s()
        return ", ".join(
            f"{name} {1e6 * (spent_s - before_s[name]) / max(1, readings):.0f} us a reading"
            for name, spent_s in self._spent_s.items()
        )


async def steady(when: str, nodes: Nodes, pids: Mapping[str, Sequence[int]]) -> None:
    """Let the nodes connect, and tell of the time after that."""
    nodes.start()
    await asyncio.sleep(_CONNECT_S)
    cpu, before = Cpu(pids), nodes.totals.stored
    await asyncio.sleep(_STEADY_S)
    _tell(when, nodes)
    print(f"    CPU: {cpu.text(nodes.totals.stored - before)}")


async def run_peer(servers: Sequence[Server | NatsServer], nodes: Nodes, qos: int) -> None:
    async with plain_workers.running([server.port for server in servers], qos):
        await steady("plain clients", nodes, {"broker": [server.pid for server in servers]})
        took_s = await nodes.stop()
        _tell(f"the end of them, {took_s:.1f} s later", nodes)


async def run(workers: Workers, servers: Sequence[Server | NatsServer], nodes: Nodes) -> None:
    server = servers[0]
    pids = [service.process.pid for service in workers.services.values()]
    await steady("steady", nodes, {"broker": [one.pid for one in servers], "workers": pids})
    await asyncio.to_thread(workers.kill, 1)
    await asyncio.sleep(_AWAY_S)
    await asyncio.to_thread(workers.start, 1)
    await asyncio.sleep(_STEADY_S)
    _tell("a worker killed", nodes)
    await asyncio.to_thread(server.kill)
    await asyncio.sleep(_AWAY_S)
    await asyncio.to_thread(server.start)
    await asyncio.sleep(_STEADY_S)
    _tell("a server killed", nodes)
    took_s = await nodes.stop()
    _tell(f"the end, {took_s:.1f} s later", nodes)


def _tell(when: str, nodes: Nodes) -> None:
    totals = nodes.totals
    took_s, totals.took_s = totals.took_s, []
    print(
        f"{when}: given {totals.created}, stored {totals.stored}, to stored p50"
        f" {percentile(took_s, 0.5):.1f} s, p99 {percentile(took_s, 0.99):.1f} s"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--broker", choices=("mosquitto", "nats"), default="mosquitto")
    parser.add_argument("--nodes", type=int, default=300)
    parser.add_argument("--interval", type=float, default=2.0)
    parser.add_argument("--hub-qos", type=int, choices=(0, 1), default=1, help="of the workers")
    parser.add_argument("--peer", action="store_true", help="plain clients first")
    options = parser.parse_args()
    file_limit.raise_by(options.nodes + 100)
    folder = Path(tempfile.mkdtemp(prefix="harvester-workers-"))
    kind, start = (NatsNode, nats) if options.broker == "nats" else (FleetNode, mosquitto)
    try:
        if options.peer:
            (folder / "peer").mkdir()
            with start(folder / "peer") as servers:
                asyncio.run(_peer(servers, kind, options))
        with start(folder) as servers:
            ports = [server.port for server in servers]
            url = ",".join(f"mqtt://{HOST}:{port}" for port in ports)
            keys = settings(broker__subscribe_qos=options.hub_qos)
            with Workers(folder, url, *keys) as workers:
                asyncio.run(_with_workers(workers, servers, kind, options))
                rows = [row for index in (1, 2) for row in workers.rows(index)]
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(f"in the histories: {len(rows)} readings, {len(set(rows))} of them different")


async def _with_workers(
    workers: Workers,
    servers: Sequence[Server | NatsServer],
    kind: type[FleetNode],
    options: argparse.Namespace,
) -> None:
    await run(workers, servers, _nodes(servers, kind, options))


async def _peer(
    servers: Sequence[Server | NatsServer], kind: type[FleetNode], options: argparse.Namespace
) -> None:
    await run_peer(servers, _nodes(servers, kind, options), options.hub_qos)


def _nodes(
    servers: Sequence[Server | NatsServer], kind: type[FleetNode], options: argparse.Namespace
) -> Nodes:
    return Nodes(kind, [server.port for server in servers], options.nodes, options.interval)


if __name__ == "__main__":
    main()
