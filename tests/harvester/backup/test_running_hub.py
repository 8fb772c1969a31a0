"""Backup of a hub while three nodes publish, and the hub that becomes of it."""

import contextlib
import signal
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx

from bus.client.node import NodeBus
from bus.clock import now_ms
from bus.config import config_file
from harvester import cli
from hub_app.history.schema import open_for_reading
from tests import http_client
from tests.support import (
    HOST,
    WAIT_S,
    Service,
    free_port,
    settings,
    wait_until,
    wait_until_listening,
)

NODES = ("pi4", "pi5", "pizero")
# Node and number of each reading; each node has one stream.
Keys = set[tuple[str, int]]


class TlsHub:
    """A hub with TLS in a folder; others at the same ports may follow it."""

    def __init__(self, folder: Path, ports: tuple[int, int, int]) -> None:
        folder.mkdir()
        (folder / "dashboard").mkdir()
        (folder / "dashboard" / "dashboard.wasm").touch()
        self.folder, self.state = folder, folder / "state"
        self.config = folder / "hub.toml"
        port, tls_port, web_port = ports
        self.keys = settings(
            storage__state_dir=self.state,
            plugins__directory=folder,
            broker__port=port,
            broker__tls_port=tls_port,
            web__port=web_port,
            web__listen=HOST,
            broker__listen=HOST,
            history__commit_s=0.2,
        )

    def run(self, *arguments: str) -> None:
        cli.main([*arguments, "--config", str(self.config), *self.keys])

    @contextlib.contextmanager
    def running(self) -> Iterator[Service]:
        command = ["--config", str(self.config), *self.keys]
        with Service("tests.hub_app.hub_process", command, self.folder / "log") as service:
            yield service

    def stored(self) -> Keys:
        try:
            with contextlib.closing(open_for_reading(self.state / "history.db")) as db:
                found = db.execute("SELECT node, seq FROM readings WHERE sensor = 'air'")
                return set(found.fetchall())
        except sqlite3.OperationalError:
            # Not made yet.
            return set()


class Publisher:
    """A node with a real outbox that publishes until it is told to stop."""

    def __init__(self, node: str, folder: Path) -> None:
        keys = settings(
            cluster__node_id=node,
            storage__state_dir=folder / node,
            storage__runtime_dir=folder / node / "run",
            broker__credentials_file=folder / f"credentials-{node}.toml",
        )
        self.published = 0
        self._bus = NodeBus(config_file.load(None, keys[1::2]))
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._publish)

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        with self._bus:
            self._thread.start()
            try:
                yield
            finally:
                self.stop()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(WAIT_S)

    def _publish(self) -> None:
        while not self._stop.wait(0.01):
            self._bus.publish_reading("air", now_ms(), {"t": 21.5})
            self.published += 1


def last_of(keys: Keys) -> dict[str, int]:
    """Return the highest number of each node."""
    return {node: max(seq for name, seq in keys if name == node) for node in NODES}


@contextlib.contextmanager
def three_nodes(folder: Path) -> Iterator[dict[str, Publisher]]:
    nodes = {node: Publisher(node, folder) for node in NODES}
    with contextlib.ExitStack() as stack:
        for node in nodes.values():
            stack.enter_context(node.running())
        yield nodes


def test_a_hub_of_a_backup_has_what_was_stored_and_its_nodes_come_by_themselves(
    tmp_path: Path,
) -> None:
    ports = (free_port(), free_port(), free_port())
    old, new = TlsHub(tmp_path / "old", ports), TlsHub(tmp_path / "new", ports)
    old.config.write_text('[cluster]\nnode_id = "revpi"\nrole = "hub"\n')
    old.run("tls", "init", "--name", HOST)
    for node in NODES:
        file = tmp_path / f"credentials-{node}.toml"
        old.run("enroll", node, "--host", HOST, "--output", str(file))
    with three_nodes(tmp_path) as nodes:
        with old.running() as service:
            wait_until(lambda: all(count_of(old.stored(), node) > 100 for node in NODES))
            before = old.stored()
            old.run("backup", str(tmp_path / "hub.zip"))
            after = old.stored()
            # These are acknowledged, so that no node has them any more.
            wait_until(lambda: len(old.stored()) > len(after) + 300)
            service.stop(number=signal.SIGKILL)
        last = old.stored()
        new.run("restore", str(tmp_path / "hub.zip"))
        restored = new.stored()
        assert before <= restored <= after < last
        # The hub shows the last backup, of which its restore knows nothing.
        second = tmp_path / "second.zip"
        new.run("backup", str(second))
        with new.running():
            wait_until_listening(ports[2])
            assert shown_backup_bytes(ports[2]) == second.stat().st_size
            wait_until(lambda: is_beyond(new.stored(), last))
            for each in nodes.values():
                each.stop()
            published = {
                (node, seq) for node, each in nodes.items() for seq in range(each.published)
            }
            # Lost is nothing but what the old hub acknowledged after the backup.
            wait_until(lambda: published - new.stored() <= last - restored)
            assert new.stored() <= published


def shown_backup_bytes(port: int) -> int:
    """Return the size of the last backup in the report, once page and metrics have it, too."""
    address = f"http://{HOST}:{port}"

    def get(path: str) -> httpx.Response:
        return http_client.get(f"{address}{path}")

    wait_until(lambda: get("/api/system").json()["backup"]["last_ms"])
    size = get("/api/system").json()["backup"]["last_bytes"]
    assert "<dt>Backup</dt><dd><time" in get("/system").text
    wait_until(lambda: "harvester_backup_size_bytes" in get("/metrics").text)
    return int(size)


def count_of(keys: Keys, node: str) -> int:
    return sum(name == node for name, _ in keys)


def is_beyond(keys: Keys, earlier: Keys) -> bool:
    """Whether every node has readings that are newer than its earlier ones."""
    return all(last_of(keys)[node] > seq for node, seq in last_of(earlier).items())
