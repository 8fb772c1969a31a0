from bus.client.addresses import AddressRotation

A, B, C = ("a", 1883), ("b", 1883), ("c", 1883)


def test_the_first_address_follows_the_last() -> None:
    rotation = AddressRotation([A, B])
    seen = []
    for _ in range(3):
        seen.append(rotation.current)
        rotation.advance()
    assert seen == [A, B, A]


def test_the_present_address_stays_where_the_new_ones_have_it() -> None:
    rotation = AddressRotation([A, B])
    rotation.advance()
    rotation.replace([C, B])
    assert rotation.current == B


def test_without_the_present_address_the_first_new_one_is_next() -> None:
    rotation = AddressRotation([A, B])
    rotation.advance()
    rotation.replace([C])
    assert rotation.current == C
