"""One site of the benchmark: a hub, the link to the database, and the process with its nodes."""

import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import msgspec

from bench.fleet.load import Plan, Progress
from bench.fleet.node import SENSORS
from bench.sites.load import SitePlan
from bench.sites.node import Sent
from bench.virtual_nodes import WholeHub, room_for, rss_mb, thread_cpu_s, whole_hub
from bus.contract.messages import Reading
from hub_app.history.schema import open_history
from hub_app.history.writer import Arrival, Writer
from tests.chaos.proxy import Proxy
from tests.support import WAIT_S, Service, wait_until_listening

_ROWS = 3000
_HUB = "tests.hub_app.hub_process"


class SiteSetup(msgspec.Struct, frozen=True):
    """A site: `ports` of its link and of the database, of which `url` names the first.

    The history begins with `backlog` readings of each node.
    """

    name: str
    url: str
    ports: tuple[int, int]
    nodes: int
    backlog: int


class Site:
    """A hub that forwards through `link`, and is killed and started again."""

    def __init__(self, name: str, folder: Path, hub: WholeHub, link: Proxy) -> None:
        self.name = name
        self.link = link
        self.sent = [folder / "sent.jsonl"]
        self._folder = folder
        self._hub = hub
        self._service = hub.service
        self._starts = 0
        self._spent_s = 0.0
        self._load: subprocess.Popen[bytes] | None = None

    def kill(self) -> None:
        """Kill the hub."""
        self._spent_s = self.cpu_s
        self._service.process.kill()
        self._service.process.wait(WAIT_S)

    def start(self) -> None:
        """Start the hub again."""
        self._starts += 1
        log = self._folder / f"log{self._starts}"
        self._service = Service(_HUB, self._hub.command, log)
        wait_until_listening(self._hub.port)

    def close(self) -> None:
        if self._load is not None:
            self._load.kill()
            self._load.wait()
        self._service.__exit__()

    @property
    def cpu_s(self) -> float:
        """CPU time of the hub's processes so far."""
        return self._spent_s + (thread_cpu_s(self._pid) if self._is_running else 0.0)

    @property
    def rss_mb(self) -> float:
        return rss_mb(self._pid) if self._is_running else 0.0

    @property
    def _pid(self) -> int:
        return self._service.process.pid

    @property
    def _is_running(self) -> bool:
        return self._service.process.poll() is None

    def forwarding(self) -> dict[str, object]:
        """Return what `/health` says of the fleet; nothing where the hub does not answer."""
        try:
            health = httpx.get(f"{self._hub.url}/health", timeout=WAIT_S, trust_env=False).json()
        except (httpx.HTTPError, json.JSONDecodeError):
            return {}
        fleet: dict[str, object] = health.get("fleet") or {}
        return fleet

    def load(self, *, interval_s: float, seconds: float, clocks_every: int) -> None:
        """Start the nodes."""
        connect_s = max(5.0, len(self._hub.tokens) / 50)
        plan = Plan(self._hub.port, self._hub.tokens, interval_s, connect_s, seconds)
        site = SitePlan(plan, str(self.sent[0]), clocks_every)
        with (self._folder / "progress").open("wb") as output:
            self._load = subprocess.Popen(
                [sys.executable, "-m", "bench.sites.load"], stdin=subprocess.PIPE, stdout=output
            )
        assert self._load.stdin is not None
        self._load.stdin.write(msgspec.json.encode(site))
        self._load.stdin.close()

    @property
    def is_done(self) -> bool:
        """Whether the nodes have ended: all is stored, or nothing has come for a minute."""
        assert self._load is not None
        return self._load.poll() is not None

    def progress(self) -> Progress | None:
        lines = (self._folder / "progress").read_bytes().splitlines(keepends=True)
        whole = [line for line in lines[-2:] if line.endswith(b"\n")]
        return msgspec.json.decode(whole[-1], type=Progress) if whole else None


@contextlib.contextmanager
def running(setup: SiteSetup, folder: Path) -> Iterator[Site]:
    """Run the hub of a site."""
    folder.mkdir()
    names = [f"{setup.name}-{number:04}" for number in range(setup.nodes)]
    old = folder / "backlog.jsonl"
    if setup.backlog:
        fill(folder / "history.db", old, names, setup.backlog)
    keys = room_for(setup.nodes) | {"fleet__url": setup.url, "fleet__site": setup.name}
    # A megabyte at a time: what is measured is not the proxy.
    with (
        Proxy(*setup.ports, piece_bytes=2**20) as link,
        whole_hub(folder, names, module=_HUB, **keys) as hub,
    ):
        site = Site(setup.name, folder, hub, link)
        if setup.backlog:
            site.sent.append(old)
        try:
            yield site
        finally:
            site.close()


def fill(history: Path, sent: Path, names: list[str], count: int) -> None:
    """Write `count` readings of each node to a history, as if they had come before the start."""
    from_ms = time.time_ns() // 1_000_000 - 2000 * count
    sensors = list(SENSORS.items())
    readings = (
        Reading(name, sensor, from_ms + 2000 * seq, f"old-{name}", seq, data, "dht22")
        for seq in range(count)
        for sensor, data in [sensors[seq % len(sensors)]]
        for name in names
    )
    encode = msgspec.json.Encoder().encode
    with contextlib.closing(open_history(history)) as db, sent.open("wb") as file:
        db.execute("PRAGMA synchronous=OFF")
        writer = Writer(db)
        while part := [each for each, _ in zip(readings, range(_ROWS), strict=False)]:
            writer.store([Arrival(each, False) for each in part], [], part[-1].timestamp_ms)
            for each in part:
                row = Sent(
                    *(each.node, each.stream, each.seq, each.sensor_id, each.timestamp_ms, False)
                )
                file.write(encode(row) + b"\n")
