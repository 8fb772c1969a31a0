"""Admission control: places in all and for each address, before and after the login."""

from broker.embedded.counters import Refusal
from broker.embedded.net.admission import Admission, Place


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
