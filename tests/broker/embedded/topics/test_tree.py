"""Subscription tree: against a matcher that compares level by level."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.embedded.topics.levels import Node
from broker.embedded.topics.names import MAX_LEVELS, valid_filter, valid_topic
from broker.embedded.topics.tree import TopicTree

LEVELS = st.sampled_from(["", "a", "b", "$SYS", "ü"])
TOPICS = st.lists(LEVELS, min_size=1, max_size=4).map("/".join).filter(bool)
FILTERS = (
    st.tuples(st.lists(LEVELS | st.just("+"), max_size=4), st.sampled_from([[], ["#"]]))
    .map(lambda parts: "/".join(parts[0] + parts[1]))
    .filter(bool)
)
CLIENTS = st.sampled_from(["ann", "ben", "eve"])


def naive_match(topic_filter: str, topic: str) -> bool:
    if topic.startswith("$") and topic_filter[0] in "+#":
        return False
    wanted, levels = topic_filter.split("/"), topic.split("/")
    if wanted[-1] == "#":
        wanted.pop()
        levels = levels[: len(wanted)]
    return len(wanted) == len(levels) and all(
        want in ("+", level) for want, level in zip(wanted, levels, strict=True)
    )


def naive_clients(subscriptions: dict[tuple[str, str], int], topic: str) -> dict[str, int]:
    found: dict[str, int] = {}
    for (topic_filter, client), qos in subscriptions.items():
        if naive_match(topic_filter, topic):
            found[client] = max(qos, found.get(client, 0))
    return found


@pytest.mark.parametrize(
    ("topic_filter", "topic", "matches"),
    [
        # The examples of section 4.7.
        ("sport/tennis/player1/#", "sport/tennis/player1", True),
        ("sport/tennis/player1/#", "sport/tennis/player1/score/wimbledon", True),
        ("sport/#", "sport", True),
        ("#", "sport/tennis", True),
        ("sport/tennis/+", "sport/tennis/player1", True),
        ("sport/tennis/+", "sport/tennis/player1/ranking", False),
        ("sport/+", "sport", False),
        ("sport/+", "sport/", True),
        ("+/+", "/finance", True),
        ("/+", "/finance", True),
        ("+", "/finance", False),
        ("#", "$SYS/uptime", False),
        ("+/monitor/Clients", "$SYS/monitor/Clients", False),
        ("$SYS/#", "$SYS/uptime", True),
        ("$SYS/monitor/+", "$SYS/monitor/Clients", True),
        ("Accounts", "ACCOUNTS", False),
        ("a/$x/#", "a/$x/b", True),
        ("a/+", "a/$x", True),
    ],
)
def test_wildcards_match_as_the_standard_says(topic_filter: str, topic: str, matches: bool) -> None:
    tree: TopicTree[str, int] = TopicTree(max)
    tree.add(topic_filter, "ann", 1)
    assert bool(tree.match(topic)) is matches
    assert naive_match(topic_filter, topic) is matches


STEPS = st.lists(
    st.tuples(st.sampled_from(["add", "remove", "leave"]), FILTERS, CLIENTS, st.integers(0, 2)),
    max_size=20,
)


@given(STEPS, st.lists(TOPICS, min_size=1, max_size=5))
def test_the_tree_finds_whom_a_plain_search_finds(
    steps: list[tuple[str, str, str, int]], topics: list[str]
) -> None:
    tree: TopicTree[str, int] = TopicTree(max)
    plain: dict[tuple[str, str], int] = {}
    for action, topic_filter, client, qos in steps:
        key = (topic_filter, client)
        if action == "add":
            assert tree.add(topic_filter, client, qos) is (key not in plain)
            plain[key] = qos
        elif action == "remove":
            assert tree.remove(topic_filter, client) is (plain.pop(key, None) is not None)
        else:
            tree.remove_client(client)
            plain = {k: q for k, q in plain.items() if k[1] != client}
    assert len(tree) == len(plain)
    for client in ("ann", "ben", "eve"):
        assert dict(tree.filters(client)) == {f: q for (f, c), q in plain.items() if c == client}
    for topic in topics:
        assert tree.match(topic) == naive_clients(plain, topic)
    for topic_filter, client in plain:
        tree.remove(topic_filter, client)
    assert tree._root.children == {}
    assert tree._filters == {}


def test_foreign_filters_cost_a_match_nothing() -> None:
    tree: TopicTree[int, int] = TopicTree(max)
    tree.add("mine/+", 0, 1)
    for number in range(5_000):
        tree.add(f"other/{number}/#", number, 1)
    visited: list[str] = []

    class Counting(dict[str, Node[dict[int, int]]]):
        def get(self, key: str, default: object = None) -> Any:
            visited.append(key)
            return super().get(key, default)

    tree._root.children = Counting(tree._root.children)
    assert tree.match("mine/x") == {0: 1}
    assert visited == ["#", "+", "mine"]


@pytest.mark.parametrize("valid", [valid_topic, valid_filter])
@pytest.mark.parametrize(
    ("text", "is_valid"),
    [
        ("a", True),
        ("/", True),
        ("a//b/", True),
        (" ", True),
        ("$SYS/x", True),
        ("a" * 65_535, True),
        ("/" * (MAX_LEVELS - 1), True),
        ("", False),
        ("a\0b", False),
        ("a" * 65_536, False),
        ("ü" * 32_768, False),
        ("\ud800", False),
        ("/" * MAX_LEVELS, False),
        ("a+", False),
        ("a#", False),
        ("#/a", False),
        ("a/#/b", False),
        ("a/b#", False),
        ("+a/b", False),
        ("##", False),
        ("++", False),
    ],
)
def test_names_are_checked(valid: Callable[[str], bool], text: str, is_valid: bool) -> None:
    assert valid(text) is is_valid


@pytest.mark.parametrize("text", ["#", "+", "a/#", "+/+", "/+/#", "a/+/b", "$SYS/#"])
def test_wildcards_are_for_filters_only(text: str) -> None:
    assert valid_filter(text)
    assert not valid_topic(text)
