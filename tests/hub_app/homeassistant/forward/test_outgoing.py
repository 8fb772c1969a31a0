"""Outgoing messages: the newest of each topic, bounded, and everything again at each connection."""

from bus.client.link import WireMessage
from hub_app.homeassistant.forward.outgoing import MAX_EVENTS, Outgoing

ONLINE = WireMessage("harvester/revpi/forwarder", b"online", retain=True)


def all_of(outgoing: Outgoing) -> list[tuple[str, bytes]]:
    taken = []
    while (message := outgoing.take()) is not None:
        taken.append((message.topic, message.payload))
    return taken


def test_a_newer_payload_takes_the_place_of_an_older_one() -> None:
    outgoing = Outgoing()
    for n in range(10_000):
        outgoing.put("a", b"%d" % n)
        outgoing.put("b", b"%d" % n)
    assert outgoing.waiting == 2
    assert all_of(outgoing) == [("a", b"9999"), ("b", b"9999")]


def test_a_connection_sends_everything_again_and_then_says_online() -> None:
    outgoing = Outgoing()
    outgoing.put("a", b"1")
    outgoing.put("b", b"1")
    for _ in range(2):
        outgoing.connected(ONLINE)
        outgoing.put("c", b"1")
        # What changes meanwhile keeps nothing back.
        outgoing.put("a", b"2")
        assert [topic for topic, _ in all_of(outgoing)][:2] == ["a", "b"]
    outgoing.connected(ONLINE)
    assert all_of(outgoing) == [("a", b"2"), ("b", b"1"), ("c", b"1"), (ONLINE.topic, b"online")]


def test_online_comes_behind_what_was_due_and_waits_for_no_later_change() -> None:
    outgoing = Outgoing()
    outgoing.put("a", b"1")
    outgoing.connected(ONLINE)
    first = outgoing.take()
    outgoing.put("b", b"1")
    assert first is not None
    assert all_of(outgoing) == [(ONLINE.topic, b"online"), ("b", b"1")]


def test_every_message_for_the_broker_but_events_is_retained() -> None:
    outgoing = Outgoing()
    outgoing.put("a", b"1")
    outgoing.connected(ONLINE)
    outgoing.put_message(WireMessage("event", b"x"))
    flags = {}
    while (message := outgoing.take()) is not None:
        flags[message.topic] = message.retain
    assert flags == {"event": False, "a": True, ONLINE.topic: True}


def test_an_unchanged_payload_is_not_sent_twice() -> None:
    outgoing = Outgoing()
    outgoing.put("a", b"1")
    outgoing.connected(ONLINE)
    all_of(outgoing)
    assert not outgoing.put("a", b"1")
    assert all_of(outgoing) == []


def test_an_emptied_topic_is_emptied_there_even_after_an_outage() -> None:
    outgoing = Outgoing()
    outgoing.put("a", b"1")
    outgoing.connected(ONLINE)
    all_of(outgoing)
    outgoing.disconnected()
    outgoing.put("a", b"")
    outgoing.connected(ONLINE)
    assert ("a", b"") in all_of(outgoing)
    # It was sent, and not acknowledged, when the connection broke.
    outgoing.connected(ONLINE)
    assert ("a", b"") in all_of(outgoing)
    assert outgoing.retained_there == ["a"]
    outgoing.settled()
    assert outgoing.retained_there == []
    outgoing.connected(ONLINE)
    assert all_of(outgoing) == [(ONLINE.topic, b"online")]


def test_topics_of_an_earlier_run_are_emptied_where_this_one_has_none() -> None:
    outgoing = Outgoing(["gone", "here"])
    outgoing.put("here", b"1")
    assert outgoing.retained_there == ["gone", "here"]
    outgoing.connected(ONLINE)
    assert all_of(outgoing) == [("here", b"1"), (ONLINE.topic, b"online")]
    outgoing.empty_leftovers()
    assert all_of(outgoing) == [("gone", b"")]
    outgoing.settled()
    assert outgoing.retained_there == ["here"]


def test_topics_and_bytes_are_bounded_and_places_come_back() -> None:
    outgoing = Outgoing(most_topics=2, most_bytes=10)
    assert [outgoing.put(topic, b"123") for topic in "abc"] == [False] * 3
    assert (outgoing.topics, outgoing.dropped) == (2, 1)
    outgoing.put("a", b"12345678")
    assert outgoing.dropped == 2
    outgoing.put("b", b"")
    outgoing.put("a", b"12345678")
    assert outgoing.dropped == 2
    outgoing.put("a", b"")
    outgoing.put("c", b"1234567890")
    assert (outgoing.topics, outgoing.dropped) == (1, 2)


def test_events_are_bounded_and_do_not_wait_for_a_connection() -> None:
    outgoing = Outgoing()
    event = WireMessage("event", b"x")
    assert not outgoing.put_message(event)
    assert outgoing.dropped == 1
    outgoing.connected(ONLINE)
    for _ in range(MAX_EVENTS + 5):
        outgoing.put_message(event)
    assert outgoing.dropped == 6
    assert outgoing.waiting == MAX_EVENTS
    outgoing.disconnected()
    assert outgoing.waiting == 0


def test_what_could_not_be_sent_is_due_again() -> None:
    outgoing = Outgoing()
    outgoing.put("a", b"1")
    message = outgoing.take()
    assert message is not None
    outgoing.put("a", b"2")
    outgoing.give_back(message)
    assert all_of(outgoing) == [("a", b"2")]


def test_a_description_of_what_goes_is_sent_before_the_next_one() -> None:
    """Home Assistant removes a component of a device only where a message names it."""
    outgoing = Outgoing()
    outgoing.connected(ONLINE)
    outgoing.put_discovery("device", b"with removal")
    outgoing.put_discovery("device", b"without")
    outgoing.put_discovery("other", b"1")
    assert all_of(outgoing)[1:] == [
        ("device", b"with removal"),
        ("device", b"without"),
        ("other", b"1"),
    ]
    outgoing.connected(ONLINE)
    assert ("device", b"with removal") not in all_of(outgoing)
    # What was emptied meanwhile, too.
    outgoing.put_discovery("device", b"")
    outgoing.put_discovery("device", b"new")
    assert all_of(outgoing) == [("device", b""), ("device", b"new")]


def test_discovery_waits_behind_states_and_for_its_own_pace() -> None:
    outgoing = Outgoing()
    for n in range(3):
        outgoing.put_discovery(f"config{n}", b"{}")
        outgoing.put(f"state{n}", b"1")
    outgoing.connected(ONLINE)
    first = [outgoing.take(lambda: False) for _ in range(5)]
    assert [message and message.topic for message in first] == [
        *("state0", "state1", "state2", ONLINE.topic, None)
    ]
    assert outgoing.waits_for_discovery
    outgoing.put("state0", b"2")
    assert not outgoing.waits_for_discovery
    assert [topic for topic, _ in all_of(outgoing)] == ["state0", "config0", "config1", "config2"]
    assert not outgoing.waits_for_discovery


def test_what_was_emptied_is_not_emptied_twice_on_one_connection() -> None:
    """Home Assistant warns of the removal of a device that it does not know."""
    outgoing = Outgoing()
    outgoing.connected(ONLINE)
    outgoing.put_discovery("device", b"1")
    all_of(outgoing)
    outgoing.put_discovery("device", b"")
    assert all_of(outgoing) == [("device", b"")]
    outgoing.send_again(ONLINE)
    assert ("device", b"") not in all_of(outgoing)
    outgoing.connected(ONLINE)
    assert ("device", b"") in all_of(outgoing)
