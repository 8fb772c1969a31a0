"""Retained messages: matching, limits and expiry."""

import itertools
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.embedded.topics.retained import Outcome, Retained, RetainedMessages
from bus.config.broker_table import BrokerConfig
from tests.broker.embedded.topics.test_tree import FILTERS, TOPICS, naive_match

MB = 1024 * 1024


def roomy() -> RetainedMessages:
    return RetainedMessages.bounded_by(BrokerConfig())


def topics(messages: Iterable[Retained]) -> list[str]:
    return sorted(message.topic for message in messages)


@given(st.lists(st.tuples(TOPICS, st.binary(max_size=2))), st.lists(FILTERS, min_size=1))
def test_retained_messages_are_found_as_a_plain_search_finds_them(
    said: list[tuple[str, bytes]], filters: list[str]
) -> None:
    retained, plain = roomy(), dict[str, bytes]()
    for now_ms, (topic, payload) in enumerate(said):
        retained.set(Retained(topic, payload, 1, now_ms))
        plain[topic] = payload
        if not payload:
            del plain[topic]
    assert len(retained) == len(plain)
    assert retained.size_bytes == sum(len(t.encode()) + len(p) for t, p in plain.items())
    for wanted in filters:
        found = {message.topic: message.payload for message in retained.match(wanted)}
        assert found == {t: p for t, p in plain.items() if naive_match(wanted, t)}
    for topic in plain:
        assert retained.set(Retained(topic, b"", 0, 0)) is Outcome.DELETED
    assert retained._root.children == {}
    assert retained.size_bytes == 0


def test_an_empty_message_deletes() -> None:
    retained = roomy()
    assert retained.set(Retained("a", b"1", 1, 0)) is Outcome.STORED
    assert retained.set(Retained("a", b"", 1, 1)) is Outcome.DELETED
    assert retained.set(Retained("a", b"", 1, 2)) is Outcome.NOTHING
    assert retained.get("a") is None


def test_a_full_store_refuses_new_topics_and_takes_new_values() -> None:
    retained = RetainedMessages(messages=2, size_bytes=MB, age_ms=1e9)
    for topic in "ab":
        retained.set(Retained(topic, b"1", 1, 0))
    assert retained.set(Retained("c", b"1", 1, 0)) is Outcome.REFUSED
    assert retained.set(Retained("a", b"2", 1, 0)) is Outcome.STORED
    assert topics(retained.match("#")) == ["a", "b"]


def test_a_value_that_finds_no_room_leaves_no_stale_one() -> None:
    retained = RetainedMessages(messages=9, size_bytes=10, age_ms=1e9)
    retained.set(Retained("a", b"12345", 1, 0))
    assert retained.set(Retained("a", b"0123456789", 1, 1)) is Outcome.REFUSED
    assert retained.get("a") is None
    assert retained.size_bytes == 0


def test_what_is_too_old_goes() -> None:
    retained = RetainedMessages(messages=9, size_bytes=MB, age_ms=100)
    for now_ms, topic in enumerate("abc"):
        retained.set(Retained(topic, b"1", 1, now_ms))
    retained.set(Retained("a", b"2", 1, 50))
    assert retained.expire(102) == ["b"]
    assert topics(retained.match("#")) == ["a", "c"]


def test_the_newest_are_loaded_where_not_all_fit() -> None:
    retained = RetainedMessages(messages=2, size_bytes=MB, age_ms=1e9)
    stored = [Retained(topic, b"1", 1, ms) for topic, ms in (("new", 3), ("old", 1), ("mid", 2))]
    assert retained.load(stored) == ["old"]
    assert topics(retained.match("#")) == ["mid", "new"]
    assert retained.expire(int(1e9) + 3) == ["mid"]


def test_the_store_may_change_under_an_iteration() -> None:
    retained = roomy()
    for topic in ("a/1", "a/2", "a/3", "b/1"):
        retained.set(Retained(topic, b"1", 1, 0))
    found = retained.match("#")
    first = next(found)
    for topic in ("a/1", "a/2", "a/3"):
        retained.set(Retained(topic, b"", 1, 0))
    retained.set(Retained("c", b"1", 1, 0))
    left = topics(found)
    assert first.topic not in left
    assert set(left) <= {"b/1", "c"}
    assert "b/1" in left or first.topic == "b/1"


@pytest.mark.parametrize("wanted", ["room/+/wanted", "room/7/#"])
def test_a_narrow_look_up_passes_the_rest_by(wanted: str) -> None:
    retained = roomy()
    for number in range(5_000):
        retained.set(Retained(f"other/{number}/x", b"1", 1, 0))
    retained.set(Retained("room/7/wanted", b"1", 1, 0))
    assert topics(itertools.islice(retained.match(wanted), 2)) == ["room/7/wanted"]
