from bus.client.addresses import AddressRotation

A, B, C = ("a", 1883), ("b", 1883), ("c", 1883)


def test_the_first_address_follows_the_last() -> None:
    rotation = AddressRotation([A, B])
    seen = []
    for _ in range(3):
        seen.append(rotation.current)
        rotation.advance(was_connected=True)
    assert seen == [A, B, A]


def test_the_present_address_stays_where_the_new_ones_have_it() -> None:
    rotation = AddressRotation([A, B])
    rotation.advance(was_connected=True)
    rotation.replace([C, B])
    assert rotation.current == B


def test_without_the_present_address_the_first_new_one_is_next() -> None:
    rotation = AddressRotation([A, B])
    rotation.advance(was_connected=True)
    rotation.replace([C])
    assert rotation.current == C


def test_a_round_of_failures_ends_at_the_last_address_and_begins_anew_with_a_connection() -> None:
    rotation = AddressRotation([A, B, C])
    connections = [False, False, False, False, True, False, False, False]
    rounds = [rotation.advance(was_connected=was_connected) for was_connected in connections]
    assert rounds == [False, False, True, False, False, False, False, True]


def test_a_single_address_is_a_round() -> None:
    rotation = AddressRotation([A])
    assert [rotation.advance(was_connected=each) for each in (False, False, True, False)] == [
        True,
        True,
        False,
        True,
    ]
