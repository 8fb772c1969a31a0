"""Events, alarms and means that wait for a commit: none is lost but the one that fails it."""

import pytest

from hub_app.history.commit.pending import Part, Pending
from hub_app.history.events import Event
from hub_app.history.retention.heartbeats import HeartbeatMeans

NODES = 5000


def events(count: int) -> list[Event]:
    return [Event("pi4", at_ms, "plugin") for at_ms in range(count)]


def stored_of(pending: Pending, bad: Event) -> list[Event]:
    """Return what a writer stores that fails at `bad`."""
    stored: list[Event] = []
    for _ in range(100):
        part = pending.part()
        if bad in part.events:
            pending.on_failed(part)
        else:
            pending.on_stored(part)
            stored += part.events
        if not pending:
            return stored
    raise AssertionError(f"{len(pending)} still wait")


@pytest.mark.parametrize("place", [0, 1, 500, 998, 999])
def test_of_a_thousand_events_only_the_one_that_cannot_be_stored_is_dropped(place: int) -> None:
    pending, found = Pending(NODES), events(1000)
    pending.add(found)
    assert stored_of(pending, found[place]) == [*found[:place], *found[place + 1 :]]
    pending.add(found[:1])
    assert pending.part() == Part(found[:1])


def test_what_is_stored_by_itself_is_not_dropped_for_the_failure_of_something_else() -> None:
    pending, found = Pending(NODES), events(1)
    pending.add(found)
    # It was stored together with readings.
    pending.on_failed(pending.part())
    assert pending.is_suspect
    pending.on_stored(pending.part())
    assert not pending.is_suspect


def test_every_node_of_a_fleet_may_have_something_at_the_same_moment() -> None:
    pending = Pending(NODES)
    pending.add(events(NODES), heartbeats=[HeartbeatMeans(f"n{n}", 0, ()) for n in range(NODES)])
    assert len(pending.part()) == 2 * NODES


def test_while_the_file_cannot_be_used_the_newest_are_kept() -> None:
    pending = Pending(nodes=1)
    pending.add(events(9999))
    kept = pending.part().events
    assert 1000 < len(kept) < 9999
    assert kept[-1].at_ms == 9998
