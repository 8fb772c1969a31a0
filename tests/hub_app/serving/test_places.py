"""Connection places: bounds, and who loses a place to a newcomer."""

from hub_app.serving.places import Admission, Admitted, Places

FULL = Admission.FULL_SERVICE


def places(*, per_address: int = 3, total: int = 4) -> Places[str]:
    return Places(
        lambda address: address == "proxy",
        total=total,
        per_address=per_address,
        per_proxy=4,
        for_health=2,
    )


def test_an_address_at_its_bound_loses_its_own_longest_waiting_connection() -> None:
    pool = places()
    for name in ("a1", "a2", "a3"):
        assert pool.admit(name, "a") == Admitted(FULL)
    pool.admit("b1", "b")
    pool.set_busy("a1")
    assert pool.admit("a4", "a") == Admitted(FULL, "a2")


def test_a_newcomer_takes_the_place_of_the_address_that_has_most_waiting() -> None:
    pool = places()
    pool.admit("b1", "b")
    for name in ("a1", "a2", "a3"):
        pool.admit(name, "a")
    assert pool.admit("c1", "c") == Admitted(FULL, "a1")


def test_a_connection_that_answers_and_waits_again_is_the_newest_that_waits() -> None:
    pool = places(per_address=2)
    pool.admit("a1", "a")
    pool.admit("a2", "a")
    pool.set_busy("a1")
    pool.set_waiting("a1")
    assert pool.admit("a3", "a") == Admitted(FULL, "a2")


def test_where_every_connection_is_busy_only_health_is_served() -> None:
    pool = places()
    for i in range(4):
        pool.admit(f"{i}", f"address {i}")
        pool.set_busy(f"{i}")
    assert pool.admit("h1", "x") == Admitted(Admission.HEALTH_ONLY)
    assert pool.admit("h2", "x") == Admitted(Admission.HEALTH_ONLY)
    assert pool.admit("h3", "y") == Admitted(Admission.HEALTH_ONLY, "h1")
    pool.set_busy("h2")
    pool.set_busy("h3")
    assert pool.admit("h4", "y") == Admitted(Admission.REFUSED)
    pool.release("0")
    assert pool.admit("a", "a") == Admitted(FULL)


def test_a_proxy_has_more_places_than_a_client() -> None:
    pool = places(per_address=1)
    assert [pool.admit(f"p{i}", "proxy") for i in range(4)] == [Admitted(FULL)] * 4
    assert pool.admit("p4", "proxy") == Admitted(FULL, "p0")


def test_a_place_given_up_twice_is_given_up_once() -> None:
    pool = places(total=1)
    pool.admit("a", "a")
    pool.release("a")
    pool.release("a")
    pool.set_busy("a")
    assert pool.admit("b", "b") == Admitted(FULL)
