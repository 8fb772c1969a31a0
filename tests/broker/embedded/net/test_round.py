"""Round of the loop: writes are gathered while other work is to be done, and not delayed else."""

import asyncio

from broker.embedded.net.round import Round


class Connection:
    def __init__(self) -> None:
        self.flushes = 0
        self.flushed = asyncio.Event()

    def flush(self) -> None:
        self.flushes += 1
        self.flushed.set()


async def flushes_seen_by(reads: int, *, with_other_work: bool) -> list[int]:
    """Return the number of writes after each of some reads of one round."""
    loop_round, connection = Round(), Connection()
    seen: list[int] = []

    def read() -> None:
        loop_round.begin()
        loop_round.add(connection)
        loop_round.end()
        seen.append(connection.flushes)

    loop = asyncio.get_running_loop()
    for _ in range(reads):
        loop.call_soon(read)
    if with_other_work:
        loop.call_soon(lambda: None)
    await connection.flushed.wait()
    return seen


def test_a_write_waits_for_the_other_work_of_its_round() -> None:
    assert asyncio.run(flushes_seen_by(2, with_other_work=True)) == [0, 0]


def test_a_write_of_the_last_work_of_its_round_is_done_at_once() -> None:
    assert asyncio.run(flushes_seen_by(1, with_other_work=False)) == [1]


def test_what_is_written_outside_of_a_read_is_written_soon() -> None:
    async def run() -> None:
        loop_round, connection = Round(), Connection()
        loop_round.add(connection)
        assert connection.flushes == 0
        await connection.flushed.wait()

    asyncio.run(run())


def test_other_work_has_its_turn_between_the_writes_to_many_connections() -> None:
    async def run() -> None:
        loop_round, connections = Round(), [Connection() for _ in range(1000)]
        for connection in connections:
            loop_round.add(connection)
        turns = 0
        while not connections[-1].flushed.is_set():
            await asyncio.sleep(0)
            turns += 1
        assert turns >= 10
        assert [connection.flushes for connection in connections] == [1] * 1000

    asyncio.run(run())
