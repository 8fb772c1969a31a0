"""Round of updates: one node after the other, the canary first, stopped by a failure."""

import pytest

from bus.contract.messages import UpdateState
from hub_app.nodes.update import round as rounds
from hub_app.nodes.update.round import LONGEST_MS, NodeNow, Round

KEPT = UpdateState("kept", "0.1.0", "0.2.0", "", 9)
BAD = UpdateState("rolled-back", "0.1.0", "0.2.0", "it has stored no reading", 9)
HERE, AWAY = NodeNow(is_online=True), NodeNow(is_online=False)
ALL_HERE = {"pi4": HERE, "pi5": HERE, "pi6": HERE}


def asked(found: Round, nodes: dict[str, NodeNow] = ALL_HERE, now_ms: int = 0) -> Round:
    """Return the round after asking whoever is due."""
    name = rounds.next_node(found, nodes)
    assert name
    return rounds.ask(found, name, nodes[name].told, now_ms)


def told(found: Round, state: UpdateState) -> Round:
    return rounds.follow(found, {found.asked: NodeNow(is_online=True, told=state)}, 1)


def test_one_node_is_asked_at_a_time_in_their_order() -> None:
    found = asked(rounds.begin(["pi4", "pi5"], "", 0))
    assert found.asked == "pi4"
    assert rounds.next_node(found, ALL_HERE) == ""
    found = asked(told(found, KEPT))
    assert found.asked == "pi5"
    found = told(found, UpdateState("up-to-date", "0.2.0", "0.2.0"))
    assert (found.is_over, found.stopped) == (True, "")


def test_the_canary_comes_first_and_the_rest_waits_for_it() -> None:
    found = rounds.begin(["pi4", "pi5"], "pi6", 0)
    assert list(found.nodes) == ["pi6", "pi4", "pi5"]
    assert rounds.next_node(found, ALL_HERE | {"pi6": AWAY}) == ""
    assert asked(found).asked == "pi6"


@pytest.mark.parametrize("phase", ["rolled-back", "failed"])
def test_a_node_that_did_not_keep_it_stops_the_round(phase: str) -> None:
    found = asked(rounds.begin(["pi4", "pi5"], "pi4", 0))
    found = told(found, UpdateState(phase, "0.1.0", "0.2.0", "no reading", 9))
    assert found.stopped == "pi4: no reading"
    assert (found.is_over, found.nodes["pi5"].progress) == (True, "waiting")
    assert rounds.next_node(found, ALL_HERE) == ""


def test_what_a_node_told_before_it_was_asked_is_no_outcome() -> None:
    nodes = {"pi4": NodeNow(is_online=True, told=BAD)}
    found = asked(rounds.begin(["pi4"], "", 0), nodes)
    assert rounds.follow(found, nodes, 1) == found
    assert told(found, KEPT).is_over


def test_phases_are_shown_and_one_of_a_newer_version_too() -> None:
    found = asked(rounds.begin(["pi4"], "", 0))
    for phase in ("fetching", "something new"):
        found = told(found, UpdateState(phase, "0.1.0", "0.2.0"))
        assert (found.nodes["pi4"].phase, found.asked) == (phase, "pi4")


def test_a_node_that_is_away_is_asked_when_it_comes() -> None:
    found = rounds.begin(["pi4", "pi5"], "", 0)
    found = asked(found, {"pi4": AWAY, "pi5": HERE})
    assert found.asked == "pi5"
    found = told(found, KEPT)
    assert (rounds.next_node(found, {"pi4": AWAY}), found.is_over) == ("", False)
    assert asked(found).asked == "pi4"


def test_a_node_that_tells_nothing_for_too_long_stops_the_round_unless_it_is_away() -> None:
    found = asked(rounds.begin(["pi4", "pi5"], "", 0))
    late_ms = LONGEST_MS + 1
    assert rounds.follow(found, {"pi4": HERE}, LONGEST_MS) == found
    assert (
        rounds.follow(found, {"pi4": HERE}, late_ms).stopped == "pi4: told no outcome in 60 minutes"
    )
    away = rounds.follow(found, {"pi4": AWAY}, late_ms)
    assert (away.nodes["pi4"].progress, away.stopped) == ("waiting", "")
