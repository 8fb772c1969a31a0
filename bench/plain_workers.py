"""Plain clients in place of two workers: they take the same messages and answer at once.

Nothing is decoded twice, stored or shown, so what they reach with the same nodes is what the broker
itself reaches on this machine.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence

import msgspec

from bench.raw_mqtt import RawClient
from bus.config.broker_table import Share
from bus.contract.messages import Stored, encode
from bus.contract.topics import EVERY_DEPTH
from hub_app.bus_link.worker import Worker
from hub_app.history.acknowledge import Answers, ranges_of, stream_of
from tests.broker.embedded.raw import connect
from tests.support import HOST

# As the workers of the benchmark commit.
_ANSWER_S = 0.2
_COUNT = 2
_BEGINS = (b'{"node":', b'[{"node":')


class _Named(msgspec.Struct):
    node: str
    stream: str
    seq: int


_READINGS = msgspec.json.Decoder(_Named | list[_Named])


class PlainWorker:
    """Takes the readings of its share of the nodes, and answers them five times a second."""

    def __init__(self, index: int) -> None:
        self._worker = Worker("peer", Share(index, _COUNT))
        self._answers: Answers = {}

    def take(self, payload: bytes) -> None:
        if not payload.startswith(_BEGINS):
            return
        found = _READINGS.decode(payload)
        readings = found if isinstance(found, list) else [found]
        if self._worker.holds(readings[0].node):
            for one in readings:
                stream_of(self._answers, one.node, one.stream).stored.append(one.seq)

    async def answer(self, client: RawClient) -> None:
        while True:
            await asyncio.sleep(_ANSWER_S)
            answers, self._answers = self._answers, {}
            for node, streams in answers.items():
                for name, stream in streams.items():
                    stored = Stored(name, ranges_of(stream.stored))
                    client.publish(f"harvester/{node}/stored", encode(stored), 0)


@contextlib.asynccontextmanager
async def running(ports: Sequence[int], qos: int) -> AsyncIterator[None]:
    """Run them at the servers, with subscriptions of `qos` in kept sessions."""
    loop = asyncio.get_running_loop()
    async with asyncio.TaskGroup() as group:
        tasks = []
        for index in range(1, _COUNT + 1):
            worker = PlainWorker(index)
            _, client = await loop.create_connection(
                lambda take=worker.take: RawClient(take),  # type: ignore[misc]
                *(HOST, ports[index % len(ports)]),
            )
            await client.ask(connect(f"peer-{index}", clean=False))
            await client.subscribe([(text, qos) for text in EVERY_DEPTH])
            tasks.append(group.create_task(worker.answer(client)))
        yield
        for task in tasks:
            task.cancel()
