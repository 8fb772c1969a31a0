"""Messages a second and CPU a message of the embedded broker beside Mosquitto, with real accounts.

Both check the same accounts and the same rules; the load comes from a C program, which is compiled
into a temporary folder. The two brokers take turns, so that other work of the machine meets both. A
rate is that of messages that arrived, with at most a fixed number on their way. Of a kept session
that is absent it is the rate of acknowledgements, one message at a time: ours are on the disk then.
Run from the project's folder:

    python -m bench.broker_rates
"""

import asyncio
import contextlib
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from bench.virtual_nodes import thread_cpu_s
from broker.auth import accounts
from broker.auth.account_gate import AccountGate
from broker.auth.password_check import PasswordCheck
from broker.external import mosquitto
from broker.server import EmbeddedBroker
from bus.config.broker_table import BrokerConfig
from tests.support import HOST, free_port, program, wait_until_listening

TOPIC = "harvester/pi4/readings/dht22"
PUBLISHER = "pi4"
SUBSCRIBERS = 10
SECONDS = 2.0
ROUNDS = 3
SOURCE = Path(__file__).with_name("mqtt_load.c")


class Load(msgspec.Struct, frozen=True):
    """One kind of traffic. `window`: the messages on their way. `version`: the protocol level.

    `sessions` of the subscribers: clean, kept, or kept and absent.
    """

    title: str
    subscribers: int
    qos: int = 1
    window: int = 100
    sessions: str = "clean"
    version: int = 4


LOADS = (
    Load("QoS 1, one to one", 1),
    Load("QoS 1, one to ten", 10),
    Load("QoS 1, one to one, window 20", 1, window=20),
    Load("QoS 1, one to one, window 1", 1, window=1),
    Load("QoS 1, one to ten, window 1", 10, window=1),
    Load("QoS 0, one to one", 1, qos=0),
    Load("QoS 2, one to one, window 20", 1, qos=2, window=20),
    Load("QoS 1, one to a kept session", 1, sessions="kept"),
    Load("kept session absent, window 1", 1, window=1, sessions="absent"),
    Load("MQTT 5, QoS 1, one to one", 1, version=5),
    Load("MQTT 5, QoS 1, one to ten", 10, version=5),
)


class Measured(msgspec.Struct, frozen=True):
    """Messages a second, and CPU microseconds a message."""

    rate: float
    cpu_us: float


async def serve(port: int, folder: Path) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    gate = AccountGate(
        folder / "accounts.json", PasswordCheck(time.monotonic), hub_token=None, allow_local=False
    )
    store = folder / "store"
    store.mkdir()
    broker = EmbeddedBroker(BrokerConfig(listen=HOST, port=port), gate, store_dir=store)
    await broker.start()
    await stop.wait()
    await broker.stop()


def enroll(folder: Path) -> list[str]:
    """Make the accounts and Mosquitto's files of them; return names and tokens in turn."""
    path = folder / "accounts.json"
    names = [PUBLISHER, *(f"n{number}" for number in range(SUBSCRIBERS))]
    found = [text for name in names for text in (name, accounts.enroll(path, name))]
    made = accounts.load(path)
    (folder / mosquitto.ACL_NAME).write_text(mosquitto.acl(made, allow_local=False))
    (folder / mosquitto.PASSWORDS_NAME).write_text(mosquitto.password_file(made))
    return found


def mosquitto_command(port: int, folder: Path) -> list[str]:
    settings = BrokerConfig(listen=HOST, allow_local=False)
    text = mosquitto.conf(settings, str(folder), port=port, local_port=0)
    config = folder / "mosquitto.conf"
    # As root it would become a user who may not read the folder. Small packets are sent at once, as
    # ours are.
    config.write_text(f"user root\nlog_type none\nset_tcp_nodelay true\n{text}")
    return [program("mosquitto"), "-c", str(config)]


@contextlib.contextmanager
def running(command: list[str], port: int) -> Iterator[int]:
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        try:
            wait_until_listening(port)
            yield process.pid
        finally:
            process.kill()


def measure(load: Load, generator: Path, port: int, pid: int, logins: Sequence[str]) -> Measured:
    arguments = (port, load.version, load.qos, load.window, SECONDS, load.sessions, TOPIC)
    logins = logins[: 2 + 2 * load.subscribers]
    command = [str(generator), *map(str, arguments), *logins]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "begin\n"
        before_s = thread_cpu_s(pid)
        _, messages, seconds = process.stdout.readline().split()
        used_s = thread_cpu_s(pid) - before_s
    return Measured(int(messages) / float(seconds), used_s / int(messages) * 1e6)


def show(load: Load, ours: list[Measured], peers: list[Measured]) -> None:
    rates, cpus = (
        [statistics.median(getattr(each, field) for each in found) for found in (ours, peers)]
        for field in ("rate", "cpu_us")
    )
    ratios = [statistics.median(_ratios(ours, peers, field)) for field in ("rate", "cpu_us")]
    print(
        f"{load.title:32}{rates[0]:9.0f} /{rates[1]:7.0f} = {ratios[0]:.2f}"
        f"{cpus[0]:12.1f} /{cpus[1]:6.1f} = {ratios[1]:.1f}",
        flush=True,
    )


def _ratios(ours: list[Measured], peers: list[Measured], field: str) -> Iterator[float]:
    for one, peer in zip(ours, peers, strict=True):
        yield getattr(one, field) / getattr(peer, field)


def compare(loads: Sequence[Load]) -> None:
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        generator = folder / "mqtt_load"
        subprocess.run([program("cc"), "-O2", "-o", str(generator), str(SOURCE)], check=True)
        logins = enroll(folder)
        ports = free_port(), free_port()
        commands = (
            [sys.executable, "-m", "bench.broker_rates", str(ports[0]), str(folder)],
            mosquitto_command(ports[1], folder),
        )
        pids = [
            stack.enter_context(running(command, port))
            for command, port in zip(commands, ports, strict=True)
        ]
        print(f"{'':32}{'messages a second':^28}{'CPU us a message':^28}")
        print(f"{'':32}{'ours / Mosquitto = ratio':^28}{'ours / Mosquitto = ratio':^28}")
        for load in loads:
            found: tuple[list[Measured], list[Measured]] = ([], [])
            for _ in range(ROUNDS):
                for each, port, pid in zip(found, ports, pids, strict=True):
                    each.append(measure(load, generator, port, pid, logins))
            show(load, *found)
    print(
        "targets at QoS 1: rate 0.6 and CPU 2.0 of Mosquitto's; 200 a second beside a kept session"
    )


def main() -> None:
    if len(sys.argv) == 3:
        asyncio.run(serve(int(sys.argv[1]), Path(sys.argv[2])))
    else:
        compare(LOADS)


if __name__ == "__main__":
    main()
