"""Reconnect storm: the time in which a restarted broker accepts a thousand clients."""

import asyncio
import contextlib
import random
import resource
import subprocess
import sys
import time
from collections.abc import Iterator

from bench.raw_mqtt import KEEP_ALIVE_S, publish, subscribe
from bus.client.backoff import reconnect_backoff
from tests.broker.embedded.raw import connect, packet
from tests.support import HOST, PROJECT, free_port, wait_until_listening

CLIENTS = 1000
LIMIT_S = 90.0
_BROKER = """
import sys
from tests.support import embedded_broker
with embedded_broker(int(sys.argv[1])):
    sys.stdin.read()
"""
_CONNACK, _SUBACK, _PUBACK = 0x20, 0x90, 0x40


@contextlib.contextmanager
def broker(port: int) -> Iterator[None]:
    command = [sys.executable, "-c", _BROKER, str(port)]
    with subprocess.Popen(command, cwd=PROJECT, stdin=subprocess.PIPE) as process:
        try:
            wait_until_listening(port)
            yield
        finally:
            process.kill()


class Crowd:
    """Clients that stay connected, each with a jitter of its own; `here` is who was answered."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.here: set[int] = set()
        self.attempts = 0
        self.all_here = asyncio.Event()
        self.all_gone = asyncio.Event()

    def _note(self, number: int, *, is_here: bool) -> None:
        (self.here.add if is_here else self.here.discard)(number)
        for event, wanted in ((self.all_here, CLIENTS), (self.all_gone, 0)):
            (event.set if len(self.here) == wanted else event.clear)()

    async def client(self, number: int) -> None:
        backoff = reconnect_backoff(random.Random(number).uniform)
        while True:
            began_s = time.monotonic()
            # Whatever goes wrong, a node tries again.
            with contextlib.suppress(OSError, asyncio.IncompleteReadError, TimeoutError):
                self.attempts += 1
                await self._session(number)
            lasted_s = time.monotonic() - began_s if number in self.here else 0.0
            self._note(number, is_here=False)
            await asyncio.sleep(backoff.next_s(lasted_s))

    async def _session(self, number: int) -> None:
        async with asyncio.timeout(10):
            reader, writer = await asyncio.open_connection(HOST, self.port)
        try:
            name = f"node-{number}"
            wanted = (
                (connect(name, keep_alive_s=KEEP_ALIVE_S), _CONNACK),
                (subscribe(1, [(f"harvester/{name}/stored", 1)]), _SUBACK),
                (publish(f"harvester/{name}/backlog", b"[]", 1, 2), _PUBACK),
            )
            for sent, expected in wanted:
                writer.write(sent)
                async with asyncio.timeout(10):
                    await self._answer(reader, expected)
            self._note(number, is_here=True)
            while True:
                await asyncio.sleep(20)
                writer.write(packet(0xC0, b""))
                async with asyncio.timeout(20):
                    await self._answer(reader, 0xD0)
        finally:
            writer.close()

    @staticmethod
    async def _answer(reader: asyncio.StreamReader, expected: int) -> None:
        while True:
            first, length = await reader.readexactly(2)
            await reader.readexactly(length)
            if first & 0xF0 == expected:
                return

    async def gather(self) -> float:
        """Return how long it takes until all are here."""
        began_s = time.monotonic()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LIMIT_S):
                await self.all_here.wait()
        return time.monotonic() - began_s


async def _storm() -> None:
    port = free_port()
    crowd = Crowd(port)
    async with asyncio.TaskGroup() as group:
        with broker(port):
            tasks = [group.create_task(crowd.client(number)) for number in range(CLIENTS)]
            first_s = await crowd.gather()
        await crowd.all_gone.wait()
        # Away for long enough that everyone waits somewhere between 0 and 8 s or more.
        await asyncio.sleep(8)
        crowd.attempts = 0
        with broker(port):
            again_s = await crowd.gather()
            here = len(crowd.here)
            for task in tasks:
                task.cancel()
    print(
        f"storm: {CLIENTS} clients at once in {first_s:.1f} s; after an outage {here} are back "
        f"in {again_s:.1f} s, with {crowd.attempts} attempts (a node waits up to 30 s)"
    )


def storm() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 4 * CLIENTS
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(wanted, hard)), hard))
    asyncio.run(_storm())
