"""Benchmark of the embedded broker beside Mosquitto and stock amqtt.

Rates, delays, memory, wildcard filters, reconnect storms.

Each broker is a process of its own, all of them run side by side, and each measurement is taken
from one after the other before the next begins. The clients are in this process; where Mosquitto
is fast, they are what is slow. Rates are messages a second that arrived, with at most a fixed
number on their way, so that no broker gains by dropping any. Run from the project's folder:

    python -m bench.broker
"""

import asyncio
import contextlib
import itertools
import logging
import resource
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from pathlib import Path

from amqtt.broker import Broker as StockBroker

from bench.raw_mqtt import RawClient, clients, open_client
from broker.server import EmbeddedBroker
from bus.config.broker_table import BrokerConfig
from tests.support import HOST, OpenGate, free_port, program, wait_until_listening

BROKERS = ("ours", "stock amqtt", "mosquitto")
PAYLOAD = b"x" * 100
TOPIC = "bench/topic"
# A rate's length, and how often each is taken; the best counts, as the machine has other work.
RATE_S = 0.8
ROUNDS = 2
ON_THEIR_WAY = 100
PACE_S = 0.004
PACED = 300
FILTERS = (1, 10, 100, 1_000, 5_000)
FILTERS_A_CLIENT = 500
CLIENTS = 1_000
STORM_S = 30.0
FLOOD_S = 2.0
RETAINED = "bench/retained"
RETAINED_TOPICS = 5_000


class Running:
    """A broker in a process of its own."""

    def __init__(self, name: str, port: int, pid: int) -> None:
        self.name = name
        self.port = port
        self._status = Path(f"/proc/{pid}/status")

    def rss_mb(self) -> float:
        line = next(x for x in self._status.read_text().splitlines() if x.startswith("VmRSS"))
        return int(line.split()[1]) / 1024


Measure = Callable[[Running], Awaitable[float]]


async def serve(name: str, port: int, directory: Path) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    if name == "ours":
        settings = BrokerConfig(listen=HOST, port=port)
        ours = EmbeddedBroker(settings, OpenGate(), store_dir=directory)
        await ours.start()
        await stop.wait()
        await ours.stop()
        return
    logging.disable(logging.CRITICAL)
    plugins = {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}}
    listeners = {"default": {"bind": f"{HOST}:{port}", "type": "tcp"}}
    stock = StockBroker({"listeners": listeners, "plugins": plugins})
    await stock.start()
    await stop.wait()


@contextlib.contextmanager
def running(name: str, directory: Path) -> Iterator[Running]:
    port = free_port()
    folder = directory / name
    folder.mkdir()
    command = [sys.executable, "-m", "bench.broker", name, str(port), str(folder)]
    if name == "mosquitto":
        config = folder / "mosquitto.conf"
        config.write_text(f"listener {port} {HOST}\nallow_anonymous true\nlog_type none\n")
        command = [program("mosquitto"), "-c", str(config)]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        try:
            wait_until_listening(port)
            yield Running(name, port, process.pid)
        finally:
            # Nothing of it is needed, and stock amqtt takes its time.
            process.kill()


async def measure_rate(
    broker: Running, qos: int, subscribers: int, *, retain: bool = False, kept: bool = False
) -> float:
    """Return how many messages a second one publisher gets to its subscribers, all together.

    `kept`: to sessions that outlive a connection.
    """
    ears = [await open_client(broker.port, f"ear-{n}", clean=not kept) for n in range(subscribers)]
    mouth = await open_client(broker.port, "mouth")
    async with clients(mouth, *ears):
        for ear in ears:
            await ear.subscribe([(f"{RETAINED}/#" if retain else TOPIC, qos)])
        # Ours writes a topic that changes all the time now and then only.
        topics = itertools.cycle(f"{RETAINED}/{n}" for n in range(RETAINED_TOPICS))
        sent = 0

        def refill() -> None:
            nonlocal sent
            arrived = min(ear.received for ear in ears)
            free = ON_THEIR_WAY - (sent - (min(arrived, mouth.acknowledged) if qos else arrived))
            if free > ON_THEIR_WAY // 4:
                for topic in {next(topics): None for _ in range(free)} if retain else (TOPIC,):
                    mouth.publish(topic, PAYLOAD, qos, 1 if retain else free, retain=retain)
                sent += free

        for client in (mouth, *ears):
            client.changed = refill
        began_s = time.perf_counter()
        refill()
        await asyncio.sleep(RATE_S)
        arrived = sum(ear.received for ear in ears)
        elapsed_s = time.perf_counter() - began_s
        for client in (mouth, *ears):
            client.changed = lambda: None
    return arrived / elapsed_s


class Delays:
    """How long messages of a steady, modest stream take from publisher to subscriber."""

    def __init__(self) -> None:
        self.found_ms: list[float] = []

    def heard(self, payload: bytes) -> None:
        self.found_ms.append((time.perf_counter_ns() - int(payload)) / 1e6)

    async def stream(self, broker: Running, qos: int) -> None:
        ear = await open_client(broker.port, "paced-ear", self.heard)
        mouth = await open_client(broker.port, "paced-mouth")
        async with clients(ear, mouth):
            await ear.subscribe([("paced/topic", qos)])
            for _ in range(PACED):
                mouth.publish("paced/topic", b"%d" % time.perf_counter_ns(), qos)
                await asyncio.sleep(PACE_S)
            await arrival(ear, PACED)

    def ms(self, percent: int) -> float:
        return statistics.quantiles(self.found_ms, n=100)[percent - 1]


async def arrival(ear: RawClient, count: int) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(5):
            while ear.received < count:  # noqa: ASYNC110 - it ends soon, and polls next to never
                await asyncio.sleep(0.01)


async def measure_filters(broker: Running, count: int) -> float:
    """Return the rate of QoS 1 while others have `count` filters that do not match."""
    others = []
    for first in range(0, count, FILTERS_A_CLIENT):
        other = await open_client(broker.port, f"other-{first}")
        others.append(other)
        mine = range(first, min(first + FILTERS_A_CLIENT, count))
        await other.subscribe([(f"other/{n}/+/#", 1) for n in mine])
    async with clients(*others):
        return await measure_rate(broker, 1, 1)


async def measure_idle(broker: Running) -> float:
    """Return the whole broker's memory in MB with a thousand clients that say nothing."""
    idle = await crowd(broker, "idle")
    async with clients(*idle):
        await asyncio.sleep(0.5)
        return broker.rss_mb() if len(idle) == CLIENTS else float("nan")


async def crowd(broker: Running, name: str) -> list[RawClient]:
    """Connect and subscribe a thousand clients at once; return those that got in."""

    async def come(number: int) -> RawClient:
        client = await open_client(broker.port, f"{name}-{number}")
        try:
            await client.subscribe([(f"{name}/{number}/+", 1)])
        except BaseException:
            client.transport.abort()
            raise
        return client

    tasks = [asyncio.create_task(come(number)) for number in range(CLIENTS)]
    await asyncio.wait(tasks, timeout=STORM_S)
    for task in tasks:
        task.cancel()
    found = await asyncio.gather(*tasks, return_exceptions=True)
    return [client for client in found if isinstance(client, RawClient)]


async def measure_storm(broker: Running) -> tuple[float, int]:
    """Return the seconds until a thousand clients are back after a cut, and how many never were."""
    first = await crowd(broker, "storm")
    for client in first:
        client.transport.abort()
    await asyncio.gather(*(client.lost for client in first))
    began_s = time.perf_counter()
    back = await crowd(broker, "storm")
    took_s = time.perf_counter() - began_s
    async with clients(*back):
        return took_s, CLIENTS - len(back)


async def measure_flood(broker: Running) -> tuple[float, float]:
    """Return p99 in ms of a bystander beside a flood to a subscriber that reads nothing.

    And by how many MB the broker grew meanwhile.
    """
    before_mb = broker.rss_mb()
    stalled = await open_client(broker.port, "stalled")
    await stalled.subscribe([("flood/#", 0)])
    stalled.transport.pause_reading()
    command = [sys.executable, "-m", "bench.broker", "flood", str(broker.port), "-"]
    flooder = await asyncio.create_subprocess_exec(*command)
    try:
        await asyncio.sleep(FLOOD_S)
        delays = Delays()
        await delays.stream(broker, 1)
        grown_mb = broker.rss_mb() - before_mb
    finally:
        flooder.kill()
        await flooder.wait()
    stalled.transport.abort()
    return (delays.ms(99) if len(delays.found_ms) > 1 else float("nan")), grown_mb


async def flood(port: int) -> None:
    """Publish without end, as fast as the broker's socket takes it."""
    client = await open_client(port, "flooder")
    while not client.lost.done():
        # What the socket did not take waits here, not in the memory of this process.
        if client.transport.get_write_buffer_size():
            await asyncio.sleep(0.0005)
        else:
            client.publish("flood/topic", b"x" * 1_000, 0, 50)
            await asyncio.sleep(0)


def row(label: str, values: list[str], note: str = "") -> None:
    print(f"{label:<44}" + "".join(f"{value:>13}" for value in values) + f"  {note}", flush=True)


async def best(brokers: list[Running], measure: Measure) -> list[float]:
    """Take a rate from each broker in turn, several times; return the best of each."""
    found: list[list[float]] = [[] for _ in brokers]
    for _ in range(ROUNDS):
        for rates, broker in zip(found, brokers, strict=True):
            rates.append(await measure(broker))
    return [max(rates) for rates in found]


async def show_rates(brokers: list[Running]) -> None:
    for qos in (0, 1):
        for subscribers in (1, 10):
            rates = await best(brokers, partial(measure_rate, qos=qos, subscribers=subscribers))
            label = f"QoS {qos}, one to {subscribers}, messages a second"
            row(label, [f"{rate:.0f}" for rate in rates], f"ours/stock {rates[0] / rates[1]:.2f}")
    kept = await best(brokers, partial(measure_rate, qos=1, subscribers=1, kept=True))
    row("QoS 1, one to a kept session", [f"{rate:.0f}" for rate in kept])
    retained = await best(brokers, partial(measure_rate, qos=1, subscribers=1, retain=True))
    note = "only ours acknowledges what is on the disk"
    row("QoS 1, one to 1, retained", [f"{rate:.0f}" for rate in retained], note)


async def show_delays(brokers: list[Running]) -> None:
    for qos in (0, 1):
        found = []
        for broker in brokers:
            delays = Delays()
            await delays.stream(broker, qos)
            found.append(f"{delays.ms(50):.2f} / {delays.ms(99):.2f}")
        row(f"QoS {qos}, 250 a second, p50 / p99 ms", found)


async def show_filters(brokers: list[Running]) -> None:
    base: list[float] = []
    for count in FILTERS:
        rates = await best(brokers, partial(measure_filters, count=count))
        base = base or rates
        ratios = [f"{rate:.0f} ({rate / one:.2f})" for rate, one in zip(rates, base, strict=True)]
        row(f"QoS 1, {count} foreign filters (ratio to 1)", ratios)


async def show_crowds(brokers: list[Running]) -> None:
    row("1,000 idle clients, MB in all", [f"{await measure_idle(b):.1f}" for b in brokers])
    storms = [await measure_storm(broker) for broker in brokers]
    row("storm of 1,000: s / never back", [f"{took:.1f} / {lost}" for took, lost in storms])
    floods = [await measure_flood(broker) for broker in brokers]
    row(
        "bystander of flood and stall: p99 ms / MB grown",
        [f"{p99:.1f} / {grown:.0f}" for p99, grown in floods],
    )


async def compare() -> None:
    with contextlib.ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        brokers = [stack.enter_context(running(name, directory)) for name in BROKERS]
        row("", list(BROKERS))
        row("idle, MB", [f"{broker.rss_mb():.1f}" for broker in brokers])
        # First, as memory that was used once is not given back.
        await show_crowds(brokers)
        await show_rates(brokers)
        await show_delays(brokers)
        await show_filters(brokers)
    print(
        "targets of ours: QoS 1 one to one 0.9 of stock; 5,000 filters 0.9 of 1; 1,000 idle 60 MB;"
    )
    print("         all of a storm back; bystander 100 ms")


def main() -> None:
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    if len(sys.argv) == 1:
        asyncio.run(compare())
        return
    name, port, directory = sys.argv[1:]
    asyncio.run(flood(int(port)) if name == "flood" else serve(name, int(port), Path(directory)))


if __name__ == "__main__":
    main()
