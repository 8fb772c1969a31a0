"""Token buckets: burst, refill, giving back, bounded memory."""

from broker.token_bucket import TokenBuckets


def buckets(keys: int = 100) -> TokenBuckets[str]:
    return TokenBuckets(burst=5, refill_s=10.0, keys=keys)


def test_a_key_has_a_burst_and_then_one_token_in_a_while() -> None:
    tries = buckets()
    assert [tries.take("a", 0.0) for _ in range(5)] == [0.0] * 5
    assert tries.take("a", 1.0) == 9.0
    assert tries.take("b", 1.0) == 0.0
    assert tries.take("a", 10.0) == 0.0
    assert tries.take("a", 10.0) == 10.0


def test_asking_how_long_to_wait_takes_nothing() -> None:
    tries = buckets()
    for _ in range(10):
        assert tries.wait_s("a", 0.0) == 0.0
    for _ in range(5):
        tries.take("a", 0.0)
    assert tries.wait_s("a", 4.0) == 6.0
    assert tries.wait_s("a", 10.0) == 0.0


def test_a_token_can_be_given_back_and_a_bucket_filled() -> None:
    tries = buckets()
    for _ in range(5):
        tries.take("a", 0.0)
    tries.give_back("a")
    assert tries.take("a", 0.0) == 0.0
    assert tries.take("a", 0.0) > 0
    tries.fill("a")
    assert [tries.take("a", 0.0) for _ in range(5)] == [0.0] * 5


def test_what_is_given_back_never_makes_more_than_a_burst() -> None:
    tries = buckets()
    tries.take("a", 0.0)
    for _ in range(10):
        tries.give_back("a")
    assert [tries.take("a", 0.0) for _ in range(5)] == [0.0] * 5
    assert tries.take("a", 0.0) > 0


def test_many_keys_cost_bounded_memory_and_the_longest_unused_goes() -> None:
    tries = buckets(keys=3)
    for _ in range(5):
        tries.take("a", 0.0)
    for key in "bcd":
        tries.take(key, 0.0)
    assert len(tries) == 3
    assert tries.take("a", 0.0) == 0.0
