"""Workers on one broker, nodes that give readings all the time, and what the histories have."""

import contextlib
import sqlite3
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Self

from bus.client.node import NodeBus
from bus.clock import now_ms
from bus.config import config_file
from bus.config.broker_table import Share
from bus.config.settings import Config
from hub_app.bus_link.worker import Worker
from hub_app.history.query import known_names
from hub_app.history.schema import open_for_reading
from tests.killable import KillableServer
from tests.support import (
    HOST,
    Service,
    free_port,
    settings,
    wait_until,
    wait_until_listening,
)

HUB = "revpi"
NAMES = tuple(f"n{number}" for number in range(1, 7))
_INTERVAL_S = 0.1
# A cluster of NATS on a busy machine takes its time to elect leaders after a kill.
_PATIENCE_S = 180.0
Row = tuple[str, str, int]


class Server(KillableServer):
    """A broker, which listens once it is started."""

    def start(self) -> None:
        super().start()
        wait_until_listening(self.port)


class Workers:
    """Two workers of one hub, each with its history below `folder`."""

    def __init__(self, folder: Path, url: str, *keys: str) -> None:
        self.folder = folder
        self._url = url
        self._keys = keys
        self._ports = {index: free_port() for index in (1, 2)}
        plugin = folder / "dashboard"
        plugin.mkdir()
        (plugin / "dashboard.wasm").touch()
        self.services: dict[int, Service] = {}

    def start(self, index: int) -> None:
        keys = settings(
            cluster__role="hub",
            cluster__node_id=HUB,
            broker__url=self._url,
            broker__share=f"{index}/2",
            broker__keepalive_s=5,
            web__listen=HOST,
            web__port=self._ports[index],
            storage__state_dir=self.folder / "state",
            plugins__directory=self.folder,
            history__commit_s=0.2,
        )
        self.services[index] = Service(
            "tests.hub_app.hub_process", [*keys, *self._keys], self.folder / f"log-{index}"
        )

    def kill(self, index: int) -> None:
        self.services[index].process.kill()
        self.services[index].process.wait()
        self.services.pop(index).__exit__()

    def __enter__(self) -> Self:
        for index in (1, 2):
            self.start(index)
        return self

    def __exit__(self, *_: object) -> None:
        for index in list(self.services):
            self.kill(index)

    def rows(self, index: int) -> list[Row]:
        """Return the readings that a worker has stored; none where there is no history yet."""
        path = self.folder / "state" / f"worker-{index}" / known_names.FILE_NAME
        try:
            with contextlib.closing(open_for_reading(path)) as db:
                return db.execute("SELECT node, stream, seq FROM readings").fetchall()
        except sqlite3.OperationalError:
            return []


class Nodes:
    """The nodes `NAMES`, each with an outbox; each gives a reading every 0.1 s while running."""

    def __init__(self, folder: Path, url: str, *keys: str) -> None:
        self.buses = {name: NodeBus(self._config(folder / name, name, url, keys)) for name in NAMES}
        self.sent = dict.fromkeys(NAMES, 0)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._measure)

    @staticmethod
    def _config(folder: Path, name: str, url: str, keys: Sequence[str]) -> Config:
        return config_file.load(
            None,
            [
                f"cluster.node_id={name}",
                f"broker.url={url}",
                "broker.keepalive_s=5",
                f"broker.credentials_file={folder / 'credentials.toml'}",
                f"storage.state_dir={folder / 'state'}",
                f"storage.runtime_dir={folder / 'run'}",
                "outbox.live_s=2",
                "outbox.resend_s=3",
                *keys,
            ],
        )

    def _measure(self) -> None:
        while not self._stopping.wait(_INTERVAL_S):
            for name, bus in self.buses.items():
                bus.publish_reading("air", now_ms(), {"t": float(self.sent[name])})
                self.sent[name] += 1

    @contextlib.contextmanager
    def running(self) -> Iterator[Self]:
        with contextlib.ExitStack() as stack:
            for bus in self.buses.values():
                stack.enter_context(bus)
            stack.callback(self.stop_measuring)
            self._thread.start()
            yield self

    def stop_measuring(self) -> None:
        self._stopping.set()
        self._thread.join()

    def wait_for_more(self, count: int) -> None:
        """Wait until each node has given so many readings more."""
        wanted = {name: sent + count for name, sent in self.sent.items()}
        wait_until(lambda: all(self.sent[name] >= wanted[name] for name in NAMES))


def nodes_of(index: int) -> list[str]:
    worker = Worker(HUB, Share(index, 2))
    return [name for name in NAMES if worker.holds(name)]


def wait_until_stored(workers: Workers, nodes: Nodes, index: int) -> None:
    """Wait until a worker has stored all that its nodes have given up to now."""
    wanted = {name: nodes.sent[name] for name in nodes_of(index)}

    def is_so() -> bool:
        counts = Counter(row[0] for row in set(workers.rows(index)))
        return all(counts[name] >= sent for name, sent in wanted.items())

    wait_until(is_so, _PATIENCE_S)


def check_each_is_stored_once(workers: Workers, nodes: Nodes) -> None:
    """Compare the histories with what was given: every reading, once, at the node's own worker."""
    for index in (1, 2):
        wait_until_stored(workers, nodes, index)
        rows = workers.rows(index)
        assert len(rows) == len(set(rows))
        counts = Counter(row[0] for row in rows)
        assert counts == {name: nodes.sent[name] for name in nodes_of(index)}
