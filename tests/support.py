"""Helpers for tests of several packages: ports, running brokers, bus listeners, processes."""

import asyncio
import fcntl
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Self

import msgspec

from broker.auth.gate import Gate
from broker.external.mosquitto import CONF_NAME
from broker.server import EmbeddedBroker
from bus.client.client import BusClient
from bus.config.broker_table import BrokerConfig
from bus.contract.messages import Message, decode
from bus.contract.topics import EVERYTHING, Topic, parse
from bus.errors import BadDataError
from harvester.hub.open_broker import OpenGate
from tests import failures
from tests.nursery import Forked, Nursery

HOST = "127.0.0.1"
# The patience of a test with an event, and of a sandbox with a guest: a loaded machine is slow.
WAIT_S = 60.0
PATIENT_S = 30.0
PROJECT = Path(__file__).parent.parent
# Started by many tests.
_FORKED = frozenset(
    (
        "node_agent.cli",
        "pizero_native.cli",
        "tests.hub_app.hub_process",
        "tests.triggered.agent",
        "tests.triggered.pizero",
    )
)
_PORT_LOCKS = Path(tempfile.gettempdir()) / f"harvester-ports-{os.getuid()}"


def wait_until(is_so: Callable[[], object], timeout_s: float = WAIT_S) -> None:
    """Look every 20 ms until a condition holds that has no event of its own."""
    deadline_s = time.monotonic() + timeout_s
    pause = threading.Event()
    while not is_so():
        assert time.monotonic() < deadline_s, f"not so within {timeout_s:g} s"
        pause.wait(0.02)


def free_port() -> int:
    """Return a port that the system picked, for this process alone.

    Another test process may be given the same port before a server has bound it, so a file lock
    reserves the port until this process ends.
    """
    while True:
        port = _picked_port()
        lock = _PORT_LOCKS / str(port)
        _PORT_LOCKS.mkdir(exist_ok=True)
        descriptor = os.open(lock, os.O_CREAT | os.O_RDWR, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
        else:
            # Open, and so locked, for as long as this process lives.
            return port


def _picked_port() -> int:
    """Return a port in TIME_WAIT: a server may bind it, and no outgoing connection is given it."""
    with socket.socket() as probe, socket.socket() as caller:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((HOST, 0))
        probe.listen(1)
        port = int(probe.getsockname()[1])
        caller.connect((HOST, port))
        accepted, _ = probe.accept()
        # The end that closes first is the one that keeps the port.
        accepted.close()
        return port


def program(name: str) -> str:
    """Return the path of a system program, which `tests/install-system-packages` installs.

    Fails the test where it is missing: nothing is skipped in silence.
    """
    found = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    assert found, f"{name} is not installed; run tests/install-system-packages as root"
    return found


class Said(msgspec.Struct, frozen=True):
    """One message as it was heard: decoded where it is no command."""

    topic: Topic
    payload: bytes
    message: Message | None


class Listener:
    """Everything that is said on the bus, in order."""

    def __init__(
        self, port: int, text_filter: str = EVERYTHING, *, connect_s: float = WAIT_S
    ) -> None:
        self._connect_s = connect_s
        self.said: list[Said] = []
        self._changed = threading.Condition()
        self._connected = threading.Event()
        self._client = BusClient(
            (HOST, port),
            client_id=f"listener-{os.urandom(4).hex()}",
            filters=[text_filter],
            on_message=self._hear,
            on_connect=self._connected.set,
        )

    def __enter__(self) -> Self:
        self._client.start()
        assert self._connected.wait(self._connect_s)
        return self

    def __exit__(self, *_: object) -> None:
        self._client.stop()

    def publish(self, topic: Topic, payload: bytes) -> None:
        assert self._client.publish_payload(topic, payload) is not None

    def wait_for(
        self,
        wanted: Callable[[Said], bool],
        timeout_s: float = WAIT_S,
        *,
        after: int = 0,
        node: str = "",
    ) -> Said:
        """Return the first wanted message, past or to come, but for the `after` first.

        Where none comes, the failure tells what was heard, of `node` in more detail.
        """

        seen = after

        def found() -> Said | None:
            nonlocal seen
            while seen < len(self.said):
                seen += 1
                if wanted(self.said[seen - 1]):
                    return self.said[seen - 1]
            return None

        with self._changed:
            heard = self._changed.wait_for(found, timeout_s)
        if heard is None:
            summary = failures.summary([(said.topic, said.payload) for said in self.said], node)
            raise AssertionError(f"not heard within {timeout_s:g} s; {summary}")
        return heard

    def wait_topic(self, text: str, timeout_s: float = WAIT_S, *, after: int = 0) -> Said:
        node = parse(text).node
        return self.wait_for(
            lambda said: str(said.topic) == text, timeout_s, after=after, node=node
        )

    def _hear(self, text: str, payload: bytes) -> None:
        topic = parse(text)
        try:
            message = decode(topic, payload)
        except BadDataError:
            message = None
        with self._changed:
            self.said.append(Said(topic, payload, message))
            self._changed.notify_all()


@contextmanager
def embedded_broker(port: int, gate: Gate | None = None) -> Iterator[None]:
    """Run the hub's broker in a thread of its own, open to everyone or with a gate."""
    ready, stop = threading.Event(), threading.Event()

    async def serve() -> None:
        broker = EmbeddedBroker(BrokerConfig(listen=HOST, port=port), gate or OpenGate())
        await broker.start()
        ready.set()
        await asyncio.to_thread(stop.wait)
        await broker.stop()

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    try:
        assert ready.wait(WAIT_S)
        yield
    finally:
        stop.set()
        thread.join(WAIT_S)


@contextmanager
def mosquitto(port: int, directory: Path) -> Iterator[None]:
    """Run Mosquitto, as anyone may in place of the embedded broker."""
    config = directory / "mosquitto.conf"
    config.write_text(f"listener {port} {HOST}\nallow_anonymous true\n")
    with subprocess.Popen([program("mosquitto"), "-c", str(config)]) as process:
        try:
            wait_until_listening(port)
            yield
        finally:
            process.terminate()
            process.wait(WAIT_S)


def mosquitto_for_hub(hub: Sequence[str], folder: Path, local_port: int) -> list[str]:
    """Return the command of a Mosquitto with the accounts and rights of a hub.

    `hub` is what its programs are given on the command line; `local_port` asks for no login.
    """
    where = ["--output", str(folder), "--installed", str(folder), "--local-port", str(local_port)]
    subprocess.run(
        [sys.executable, "-m", "harvester.cli", "broker", "acl", *where, *hub],
        check=True,
        capture_output=True,
        cwd=PROJECT,
    )
    made = folder / CONF_NAME
    # It would not stay root, and then could not read what root has closed to others.
    made.write_text(f"user root\n{made.read_text()}")
    return [program("mosquitto"), "-c", str(made)]


def wait_until_listening(port: int) -> None:
    waiting = threading.Event()
    for _ in range(int(WAIT_S / 0.05)):
        try:
            socket.create_connection((HOST, port), 1).close()
        except OSError:
            waiting.wait(0.05)
        else:
            return
    raise AssertionError(f"nothing listens on port {port} after {WAIT_S} s")


@cache
def _nursery(module: str) -> Nursery:
    return Nursery(module)


class Service:
    """A program of ours as a process of its own, its output kept for when a test fails."""

    def __init__(self, module: str, arguments: Sequence[str], log: Path) -> None:
        self.log = log
        self._file = log.open("w")
        self.process: subprocess.Popen[bytes] | Forked
        nursery = _nursery(module) if module in _FORKED else None
        if nursery is not None and nursery.suits():
            self.process = nursery.fork(arguments, log)
        else:
            self.process = subprocess.Popen(
                [sys.executable, "-m", module, *arguments],
                stdout=self._file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        failures.watch(self, module, self.process, log)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None = None, *_: object) -> None:
        failures.forget(self, has_failed=kind is not None)
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(WAIT_S)
        self._file.close()

    def stop(self, timeout_s: float = WAIT_S, number: signal.Signals = signal.SIGTERM) -> int:
        """Ask it to stop, as systemd does or by another signal; return its exit code."""
        self.process.send_signal(number)
        return self.process.wait(timeout_s)

    def output(self) -> str:
        return self.log.read_text()


def settings(**keys: object) -> list[str]:
    """Return `--set` arguments; a double underscore stands for the dot."""
    return [
        part
        for key, value in keys.items()
        for part in ("--set", f"{key.replace('__', '.')}={value}")
    ]
