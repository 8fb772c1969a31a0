"""Limits for each client's address: event streams and requests."""

import asyncio

from starlette.types import Message, Receive, Scope, Send

from hub_app.serving.client_limit import (
    HEALTH_ONLY,
    MAX_REQUESTS_PER_ADDRESS,
    ClientLimit,
    StreamPlaces,
)


def test_an_address_at_its_bound_gets_no_stream_and_others_do() -> None:
    places = StreamPlaces(10, per_address=2)
    first = places.enter("a")
    assert first is not None
    assert places.enter("a") is not None
    assert places.enter("a") is None
    assert places.enter("b") is not None
    places.leave(first)
    assert places.enter("a") is not None


def test_where_all_places_are_in_use_the_largest_loses_its_oldest() -> None:
    places = StreamPlaces(4, per_address=4)
    oldest, *_ = [places.enter("a") for _ in range(3)]
    places.enter("b")
    closed: list[bool] = []
    assert oldest is not None
    oldest.on_close = lambda: closed.append(True)
    assert places.enter("c") is not None
    assert (closed, oldest.is_closed) == ([True], True)
    # Two, one and one: nobody has two less than another.
    assert places.enter("b") is None
    places.leave(oldest)
    assert places.enter("c") is None


def test_a_clients_requests_are_bounded_and_health_is_always_answered() -> None:
    asyncio.run(_crowd())


async def _crowd() -> None:
    release = asyncio.Event()
    served = 0

    async def app(scope: Scope, _receive: Receive, _send: Send) -> None:
        nonlocal served
        served += 1
        if scope["path"] == "/slow":
            await release.wait()

    limit = ClientLimit(app)

    async def ask(path: str, address: str, **state: object) -> list[int]:
        statuses: list[int] = []

        async def send(message: Message) -> None:
            if message["type"] == "http.response.start":
                statuses.append(message["status"])

        async def receive() -> Message:
            raise AssertionError

        scope = {"type": "http", "path": path, "client": (address, 1), "state": state}
        await limit({**scope, "method": "GET", "headers": []}, receive, send)
        return statuses

    async with asyncio.TaskGroup() as group:
        for _ in range(MAX_REQUESTS_PER_ADDRESS):
            group.create_task(ask("/slow", "10.0.0.1"))
        await asyncio.sleep(0)
        assert served == MAX_REQUESTS_PER_ADDRESS
        assert await ask("/", "10.0.0.1") == [429]
        assert await ask("/health", "10.0.0.1") == []
        assert await ask("/", "10.0.0.2") == []
        assert await ask("/", "10.0.0.2", **{HEALTH_ONLY: True}) == [503]
        release.set()
    assert await ask("/", "10.0.0.1") == []
