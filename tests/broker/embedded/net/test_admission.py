"""Admission control: places in all and for each address, before and after the login."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from broker.embedded.counters import Refusal
from broker.embedded.net.admission import Admission, Place
from tests.support import WAIT_S

T = TypeVar("T")


def admission(**limits: int) -> Admission:
    defaults = {"connections": 9, "per_address": 9, "logins": 9, "logins_per_address": 9}
    return Admission(**{**defaults, **limits})


def admit(places: Admission, address: str, now_s: float = 0.0) -> Place:
    place = places.admit(address, now_s)
    assert isinstance(place, Place)
    return place


def test_places_of_clients_are_counted_in_all_and_by_address() -> None:
    places = admission(connections=3, per_address=2)
    first, second = admit(places, "a"), admit(places, "a")
    third = admit(places, "a")
    assert [places.log_in(place) for place in (first, second, third)] == [
        None,
        None,
        Refusal.ADDRESS,
    ]
    assert places.admit("a", 0.0) is Refusal.ADDRESS
    places.release(third)
    assert places.log_in(admit(places, "b")) is None
    assert places.admit("c", 0.0) is Refusal.CONNECTIONS
    places.release(first)
    assert places.log_in(admit(places, "c")) is None
    assert (places.connected, places.waiting) == (3, 0)


def test_who_does_not_log_in_takes_no_place_of_those_who_do() -> None:
    places = admission(connections=2, logins=2, logins_per_address=1)
    admit(places, "a")
    assert places.admit("a", 0.0) is Refusal.LOGINS
    admit(places, "b")
    assert places.admit("c", 0.0) is Refusal.LOGINS
    assert places.log_in(admit(places, "127.0.0.1")) is None


def test_the_oldest_that_has_not_logged_in_makes_room_when_it_had_its_time() -> None:
    places = admission(logins=2, logins_per_address=1)
    evicted: list[str] = []
    for address in ("a", "b"):
        admit(places, address).evict = lambda address=address: evicted.append(address)
    assert places.admit("b", 0.5) is Refusal.LOGINS
    admit(places, "b", 1.5)
    admit(places, "c", 1.5)
    assert evicted == ["b", "a"]
    assert places.waiting == 2


def test_the_machine_itself_has_places_of_its_own() -> None:
    places = admission(connections=32, per_address=32)
    for number in range(30):
        assert places.log_in(admit(places, f"a{number}")) is None
    assert places.admit("b", 0.0) is Refusal.CONNECTIONS
    for _ in range(2):
        assert places.log_in(admit(places, "127.0.0.1")) is None
    assert places.admit("::1", 0.0) is Refusal.CONNECTIONS


def test_a_connection_that_is_being_authenticated_leaves_its_login_place_and_is_not_replaced() -> (
    None
):
    places = admission(logins=1, logins_per_address=1)
    first = admit(places, "a")
    with places.authenticating(first):
        second = admit(places, "a", 5.0)
        assert isinstance(second, Place)
        assert places.log_in(first) is None
    assert (places.connected, places.waiting) == (1, 1)
    places.release(second)
    places.release(first)
    assert (places.connected, places.waiting) == (0, 0)


def test_clients_of_one_address_wait_in_line_for_its_places() -> None:
    async def run() -> list[int]:
        places = admission(logins=9, logins_per_address=1)
        held, order = admit(places, "a", now_s()), []

        async def come(number: int) -> None:
            assert places.may_queue("a")
            place = await places.wait_for_place("a", now_s() + WAIT_S, yes)
            assert isinstance(place, Place)
            order.append(number)
            await asyncio.sleep(0)
            places.release(place)

        coming = [asyncio.create_task(come(number)) for number in range(20)]
        await asyncio.sleep(0)
        assert places.admit("a", now_s()) is Refusal.LOGINS
        assert isinstance(places.admit("b", now_s()), Place)
        places.release(held)
        await asyncio.gather(*coming)
        return order

    assert run_without_time(run()) == list(range(20))


def test_a_place_goes_to_an_address_that_may_have_it_not_to_a_greedy_one() -> None:
    async def run() -> list[str]:
        places = admission(logins=2, logins_per_address=1)
        held = [admit(places, address, now_s()) for address in ("a", "b")]
        order: list[str] = []

        async def come(address: str) -> None:
            assert isinstance(await places.wait_for_place(address, now_s() + WAIT_S, yes), Place)
            order.append(address)

        coming = [asyncio.create_task(come(address)) for address in ("a", "a", "c")]
        await asyncio.sleep(0)
        # The place of b is one that a may not have.
        places.release(held[1])
        await coming[2]
        for task in coming[:2]:
            task.cancel()
        await asyncio.gather(*coming, return_exceptions=True)
        return order

    assert run_without_time(run())[0] == "c"


def test_an_address_has_a_limited_number_that_waits() -> None:
    async def run() -> int:
        places = admission(logins=1, logins_per_address=1)
        admit(places, "a", now_s())
        waiting = []
        while places.may_queue("a"):
            waiting.append(asyncio.create_task(places.wait_for_place("a", now_s() + WAIT_S, yes)))
            await asyncio.sleep(0)
        assert places.may_queue("b")
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        assert places.may_queue("a")
        return len(waiting)

    assert run_without_time(run()) == 256


def test_who_has_sent_something_goes_before_silent_connections() -> None:
    async def run() -> list[str]:
        places = admission(logins=9, logins_per_address=1)
        held = admit(places, "a", now_s())
        order: list[str] = []

        async def come(name: str) -> None:
            place = await places.wait_for_place("a", now_s() + WAIT_S, lambda: name == "client")
            assert isinstance(place, Place)
            order.append(name)
            places.release(place)

        coming = [asyncio.create_task(come(name)) for name in ("silent", "silent", "client")]
        await asyncio.sleep(0)
        places.release(held)
        await asyncio.gather(*coming)
        return order

    assert run_without_time(run()) == ["client", "silent", "silent"]


def run_without_time(test: Coroutine[Any, Any, T]) -> T:
    """Run a test whose loop's clock stands still, so that nobody has waited for long."""

    async def run() -> T:
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        loop.time = lambda: began_s  # type: ignore[method-assign]
        return await test

    return asyncio.run(run())


def yes() -> bool:
    return True


def now_s() -> float:
    return asyncio.get_running_loop().time()
