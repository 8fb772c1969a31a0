"""Admission control: places in all and for each address."""

from broker.embedded.counters import Refusal
from broker.embedded.net.admission import Admission


def test_places_are_counted_in_all_and_by_address() -> None:
    places = Admission(3, 2)
    assert [places.admit("a") for _ in range(3)] == [
        None,
        None,
        Refusal.ADDRESS,
    ]
    assert [places.admit("b"), places.admit("c")] == [None, Refusal.CONNECTIONS]
    places.release("a")
    assert places.admit("c") is None
    assert places.count == 3
