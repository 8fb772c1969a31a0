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


def test_a_write_waits_for_the_other_work_of_its_round() -> None:
    async def run() -> None:
        loop_round, connection = Round(), Connection()

        def read() -> None:
            loop_round.begin()
            loop_round.add(connection)
            loop_round.end()
            assert connection.flushes == 0

        loop = asyncio.get_running_loop()
        loop.call_soon(read)
        loop.call_soon(read)
        loop.call_soon(lambda: None)
        await connection.flushed.wait()

    asyncio.run(run())


def test_a_write_of_the_last_work_of_its_round_is_done_at_once() -> None:
    async def run() -> None:
        loop_round, connection = Round(), Connection()
        done = asyncio.Event()

        def read() -> None:
            loop_round.begin()
            loop_round.add(connection)
            loop_round.end()
            assert connection.flushes == 1
            done.set()

        asyncio.get_running_loop().call_soon(read)
        await done.wait()

    asyncio.run(run())


def test_what_is_written_outside_of_a_read_is_written_soon() -> None:
    async def run() -> None:
        loop_round, connection = Round(), Connection()
        loop_round.add(connection)
        assert connection.flushes == 0
        await connection.flushed.wait()

    asyncio.run(run())
