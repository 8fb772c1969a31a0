"""Fair limit of a queue that several publishers fill."""

from broker.fair_limit import FairLimit


def test_a_share_is_an_equal_part_of_the_limit() -> None:
    shares = FairLimit(10)
    shares.add("flooder", 9)
    assert not shares.is_above_share("flooder")
    shares.add("bystander", 1)
    assert [shares.is_above_share(name) for name in ("flooder", "bystander", "new")] == [
        True,
        False,
        False,
    ]
    shares.remove("flooder", 4)
    assert not shares.has_room
    shares.remove("flooder", 5)
    assert shares.has_room
    assert shares.total == 1
