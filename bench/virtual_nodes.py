"""Virtual nodes of a benchmark: a whole hub with an account for each, and what they publish."""

import asyncio
import contextlib
import os
import random
import secrets
from collections.abc import Iterator, Sequence
from pathlib import Path

import httpx
import msgspec

from bench.raw_mqtt import RawClient
from broker.auth import accounts, tokens
from broker.auth.accounts import Accounts, Machine
from bus.clock import now_ms
from bus.config import config_file, hub_files
from bus.contract.description import About
from bus.contract.messages import (
    Heartbeat,
    Log,
    Message,
    PluginState,
    Reading,
    Status,
    Value,
    encode,
)
from bus.contract.topics import Topic, TopicKind
from bus.files import private_json
from tests.broker.embedded.raw import connect
from tests.default_descriptions import description_of
from tests.default_readings import AIR, HEALTH, ROOM
from tests.support import HOST, WAIT_S, Service, free_port, settings, wait_until_listening

SENSORS = ("dht22-gpio4", "bme680-0x77", "pi4-monitor")
AREAS = 8
_KEEP_ALIVE_S = 600


class WholeHub(msgspec.Struct, frozen=True):
    """A hub with its own broker: its ports, its process and the nodes' tokens."""

    port: int
    web_port: int
    service: Service
    tokens: dict[str, str]
    # The arguments of the process.
    command: list[str]

    @property
    def pid(self) -> int:
        return self.service.process.pid

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.web_port}"

    def json(self, path: str) -> dict[str, object]:
        found: dict[str, object] = httpx.get(self.url + path, timeout=WAIT_S).json()
        return found


@contextlib.contextmanager
def whole_hub(
    directory: Path,
    names: Sequence[str],
    *,
    module: str = "tests.hub_app.hub_process",
    **keys: object,
) -> Iterator[WholeHub]:
    """Run a hub with accounts for `names`; `keys` are further settings of its configuration."""
    port, web_port = free_port(), free_port()
    wasm = directory / "dashboard" / "dashboard.wasm"
    wasm.parent.mkdir(parents=True)
    wasm.touch()
    arguments = settings(
        cluster__role="hub",
        web__listen=HOST,
        web__port=web_port,
        broker__listen=HOST,
        broker__port=port,
        plugins__directory=directory,
        storage__state_dir=directory,
        **keys,
    )
    found = hub_files.of(config_file.load(None, arguments[1::2]), {})
    found.accounts.parent.mkdir(parents=True, exist_ok=True)
    node_tokens = enroll_all(found.accounts, names)
    command = ["--config", os.devnull, *arguments]
    with Service(module, command, directory / "log") as service:
        wait_until_listening(web_port)
        yield WholeHub(port, web_port, service, node_tokens, command)


def room_for(nodes: int) -> dict[str, object]:
    """Return the settings of a hub with room for so many nodes of one address."""
    room = max(2048, 2 * nodes)
    return {
        # An alarm of the hub itself takes the place of a node.
        "limits__nodes": max(2000, nodes + 1),
        "broker__connections": room,
        "broker__connections_per_address": room,
        "broker__retained_messages": 16 * room,
        "broker__retained_mb": max(32, room // 64),
        "broker__sessions": room,
    }


def enroll_all(path: Path, names: Sequence[str]) -> dict[str, str]:
    """Make accounts for all nodes in one write; return their tokens."""
    found = {name: tokens.new_token() for name in names}
    machines = {
        name: Machine(tokens.hash_token(token.encode()), "", now_ms())
        for name, token in found.items()
    }
    private_json.change(path, accounts.load, lambda _: Accounts(nodes=machines))
    return found


class VirtualNode:
    """One node with three sensors. Its readings are random, and have one stream."""

    def __init__(self, number: int) -> None:
        self.name = f"node-{number:03}"
        self.number = number
        self.is_failed = False
        self._stream = secrets.token_hex(8)
        self._boot = secrets.token_hex(8)
        self._seq = 0
        self._client: RawClient | None = None

    async def connect(self, hub: WholeHub) -> None:
        loop = asyncio.get_running_loop()
        _, self._client = await loop.create_connection(RawClient, HOST, hub.port)
        token = hub.tokens[self.name].encode()
        answer = await self._client.ask(
            connect(self.name, username=self.name, password=token, keep_alive_s=_KEEP_ALIVE_S)
        )
        if answer[3] != 0:
            raise ConnectionRefusedError(f"the broker answered {answer.hex()}")

    def close(self) -> None:
        if self._client is not None:
            self._client.transport.abort()

    def describe(self, interval_s: float) -> None:
        """Publish what a node publishes at its start, and a first reading of each sensor."""
        status = Status("online", "spoke", "1", self._boot, now_ms(), interval_s)
        self._publish(TopicKind.STATUS, "", status)
        about = About(f"Board {self.number}", f"Area {self.number % AREAS}", "", "", "", "", {}, {})
        self._publish(TopicKind.ABOUT, "", about)
        for sensor in SENSORS:
            self._publish(TopicKind.SENSOR, sensor, description_of(sensor))
            self.read(sensor)

    def read(self, sensor: str, temperature_c: float | None = None) -> None:
        self._seq += 1
        if temperature_c is None:
            temperature_c = 20 + random.random()
        data = data_of(sensor, self._seq, temperature_c)
        message = Reading(self.name, sensor, now_ms(), self._stream, self._seq, data)
        self._publish(TopicKind.READING, sensor, message)

    def beat(self) -> None:
        message = Heartbeat(self._seq, float(self._seq), 40.0, 12.0, 0, 0, now_ms())
        self._publish(TopicKind.HEARTBEAT, "", message)

    def log(self, text: str) -> None:
        self._publish(TopicKind.LOG, "", Log(now_ms(), "info", "plugin:dht22", text))

    def change_plugin(self) -> None:
        """Let a plugin fail, or run again."""
        self.is_failed = not self.is_failed
        error = "no answer at i2c-1 0x77" if self.is_failed else ""
        state = "failed" if self.is_failed else "running"
        message = PluginState(state, "0" * 64, now_ms(), 0, error, now_ms())
        self._publish(TopicKind.PLUGIN, "bme680", message)

    def _publish(self, kind: TopicKind, name: str, message: Message) -> None:
        if self._client is None:
            raise ConnectionError(f"{self.name} is not connected")
        topic = Topic(self.name, kind, name)
        channel = topic.channel
        self._client.publish(str(topic), encode(message), channel.qos, retain=channel.retain)


def data_of(sensor: str, seq: int, temperature_c: float) -> dict[str, Value]:
    """Return the data of a reading as the sensors of the shipped configuration have it."""
    if sensor == "pi4-monitor":
        return HEALTH | {"cpu_temp": 50.0 + seq % 9, "uptime_seconds": seq}
    air = {"temperature": temperature_c, "humidity": 40 + random.random()}
    if sensor == "bme680-0x77":
        return AIR | air | {"iaq_score": seq % 200, "pressure_sea_level": 1019.0}
    return ROOM | air


def thread_cpu_s(pid: int) -> float:
    """Return the CPU time of all threads of one process, to the nanosecond."""
    total_ns = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(OSError):
            total_ns += int((task / "schedstat").read_text().split()[0])
    return total_ns / 1e9


def rss_mb(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS")).split()[1]) / 1024
