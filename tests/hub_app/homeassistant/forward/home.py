"""A Mosquitto as Home Assistant's own broker, a client of it, and a forwarder to it."""

import contextlib
import getpass
import os
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Self

from bus.client.client import BusClient
from bus.client.link import WireMessage
from bus.client.login import Login
from bus.config.homeassistant_table import HomeAssistantConfig
from bus.contract.messages import Reading, encode
from bus.contract.topics import Topic, TopicKind
from hub_app.homeassistant.forward.forwarder import Forwarder
from hub_app.homeassistant.forward.rounds import ForwarderTimes
from tests.support import HOST, WAIT_S, free_port, program, wait_until, wait_until_listening

STATE = "harvester/revpi/forwarder"
# Nothing of the periodic work happens by itself within a test.
QUIET = ForwarderTimes(loop_retry_s=600.0, probe_s=600.0, leftovers_s=600.0, answer_s=600.0)


class HomeBroker:
    """A Mosquitto without persistence, which a test stops, starts, freezes."""

    def __init__(self, folder: Path, extra: str = "allow_anonymous true\n") -> None:
        self.port = free_port()
        self._conf = folder / "home.conf"
        # As root it would become another user, who cannot read the files.
        user = f"user {getpass.getuser()}\n"
        self._conf.write_text(f"{user}listener {self.port} {HOST}\n{extra}")
        self._log = folder / "home.log"
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        with self._log.open("a") as log:
            self._process = subprocess.Popen(
                [program("mosquitto"), "-c", str(self._conf)], stdout=log, stderr=log
            )
        wait_until_listening(self.port)

    def stop(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait(WAIT_S)

    def send(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    @contextlib.contextmanager
    def frozen(self) -> Iterator[None]:
        """Take and send nothing meanwhile, with every connection open."""
        self.send(signal.SIGSTOP)
        try:
            yield
        finally:
            self.send(signal.SIGCONT)


class HomeClient:
    """Client of a broker: everything that it hears, in order and as the newest by topic."""

    def __init__(
        self, port: int, login: Login | None = None, *, filters: Sequence[str] = ("#",)
    ) -> None:
        self.heard: list[tuple[str, bytes]] = []
        self.on_message: Callable[[str, bytes], None] = lambda _topic, _payload: None
        self._connected = threading.Event()
        self._client = BusClient(
            (HOST, port),
            client_id=f"home-{os.urandom(4).hex()}",
            login=login,
            filters=filters,
            on_message=self._hear,
            on_connect=self._connected.set,
        )

    def __enter__(self) -> Self:
        self._client.start()
        assert self._connected.wait(WAIT_S)
        return self

    def __exit__(self, *_: object) -> None:
        self._client.stop()

    def _hear(self, topic: str, payload: bytes) -> None:
        self.heard.append((topic, payload))
        self.on_message(topic, payload)

    @property
    def state(self) -> dict[str, bytes]:
        return dict(self.heard)

    @property
    def retained(self) -> dict[str, bytes]:
        """What was said last on each topic, but for those that were emptied."""
        return {topic: payload for topic, payload in self.state.items() if payload}

    def wait_for(self, topic: str, payload: bytes | None = None) -> None:
        wait_until(
            lambda: topic in self.state and (payload is None or self.state[topic] == payload)
        )

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        assert self._client.publish_wire(WireMessage(topic, payload, retain=retain)) is not None


class HubSide:
    """The hub's bus, as the forwarder publishes on it: all but the probes."""

    def __init__(self) -> None:
        self.probes = 0
        self.commands: list[tuple[str, bytes]] = []

    def publish(self, topic: Topic, payload: bytes) -> int:
        if topic.node.startswith("probe-"):
            self.probes += 1
        else:
            self.commands.append((str(topic), payload))
        return 1


def forwarder_to(
    port: int,
    hub: HubSide | None = None,
    *,
    times: ForwarderTimes = QUIET,
    state_file: Path | None = None,
    **keys: str,
) -> Forwarder:
    """Return a forwarder that is not started."""
    settings = HomeAssistantConfig(**{"broker": f"mqtt://{HOST}:{port}", **keys})
    publish = (hub or HubSide()).publish
    return Forwarder(settings, "revpi", publish, state_file=state_file, times=times)


@contextlib.contextmanager
def forwarding(
    port: int,
    hub: HubSide | None = None,
    *,
    times: ForwarderTimes = QUIET,
    state_file: Path | None = None,
    **keys: str,
) -> Iterator[Forwarder]:
    forwarder = forwarder_to(port, hub, times=times, state_file=state_file, **keys)
    forwarder.start()
    try:
        yield forwarder
    finally:
        forwarder.stop()


def topic_of(sensor: str) -> Topic:
    return Topic("pi4", TopicKind.READING, sensor)


def reading(sensor: str, seq: int) -> bytes:
    return encode(Reading("pi4", sensor, 1_795_373_155_454 + seq, "stream", seq, {"value": seq}))


def put_all(forwarder: Forwarder, sensors: Sequence[str], seq: int) -> None:
    for sensor in sensors:
        forwarder.put(topic_of(sensor), reading(sensor, seq))
