"""Rollouts: the canary first, the others at once, absent nodes later, and the way back."""

from collections.abc import Iterable

import msgspec
import pytest

from bus.contract.messages import DeliveryState
from bus.errors import MisconfiguredError
from hub_app.nodes.delivery import rollout, wanted
from hub_app.nodes.delivery.rollout import NodeNow, Rollout, Target
from hub_app.nodes.delivery.wanted import Deliveries

FIRST, SECOND = Target("1" * 64, "1.0", "sensor-plugin"), Target("2" * 64, "2.0", "sensor-plugin")
NAMES = ("attic", "pi4", "pi5")


class Site:
    """Nodes that run the plugin `room`, and the hub's deliveries to them."""

    def __init__(self, names: Iterable[str] = NAMES) -> None:
        self.found = Deliveries()
        self.nodes = {
            name: NodeNow(is_online=True, area="Cellar", plugins=frozenset({"room"}))
            for name in names
        }
        self.now_ms = 1000
        self.gone: set[str] = set()

    def deploy(self, target: Target, *names: str, **more: object) -> Rollout:
        made = Rollout(plugin="room", target=target, started_ms=self.now_ms)
        made = msgspec.structs.replace(made, **more)
        self.found = wanted.start(self.found, rollout.for_nodes(made, names))
        return self.step()

    def roll_back(self, *names: str) -> Rollout:
        return self.deploy(Target(), *names, action="rollback")

    def step(self) -> Rollout:
        self.now_ms += 1000
        self.found = wanted.step(self.found, self.nodes, self.now_ms, self.gone)
        return self.rollout

    @property
    def rollout(self) -> Rollout:
        return self.found.rollouts["room"]

    def sent(self) -> list[str]:
        return [name for name, node in self.rollout.nodes.items() if node.progress == "sent"]

    def tell(self, name: str, phase: str, reason: str = "", **more: object) -> Rollout:
        release = self.found.wanted[name]["room"].release
        state = DeliveryState(release, "", phase, reason)
        return self.hear(name, msgspec.structs.replace(state, **more))

    def hear(self, name: str, state: DeliveryState) -> Rollout:
        self.hear_of(name, state)
        return self.step()

    def hear_of(self, name: str, state: DeliveryState) -> None:
        self.nodes[name] = msgspec.structs.replace(self.nodes[name], told={"room": state})

    def target(self, name: str) -> Target:
        return self.found.wanted[name]["room"].target


@pytest.fixture
def site() -> Site:
    return Site()


def test_the_others_get_a_version_once_the_canary_has_kept_it(site: Site) -> None:
    site.deploy(FIRST, *NAMES, canary="pi5")
    assert list(site.rollout.nodes) == ["pi5", "attic", "pi4"]
    assert site.sent() == ["pi5"]
    for phase in ("trial", "probation"):
        site.tell("pi5", phase)
        assert site.sent() == ["pi5"]
        assert list(site.found.wanted) == ["pi5"]
    site.tell("pi5", "kept")
    assert site.sent() == ["attic", "pi4"]
    site.tell("pi4", "kept")
    assert site.tell("attic", "kept").is_over
    assert {site.target(name) for name in NAMES} == {FIRST}


@pytest.mark.parametrize("phase", ["failed", "rolled-back"])
def test_a_canary_that_does_not_keep_it_stops_the_rollout(site: Site, phase: str) -> None:
    site.deploy(FIRST, *NAMES, canary="pi4")
    site.tell("pi4", phase, "Traceback\n  File x\nValueError: the tenth")
    assert site.rollout.stopped == "pi4: ValueError: the tenth"
    assert site.rollout.is_over
    assert list(site.found.wanted) == ["pi4"]
    assert site.step() == site.rollout


def test_a_canary_that_refuses_or_takes_no_bundles_stops_the_rollout(site: Site) -> None:
    site.deploy(FIRST, *NAMES, canary="pi4")
    site.hear("pi4", DeliveryState(0, "", "", refused="found a signature", refused_ms=7))
    assert site.rollout.stopped == "pi4: found a signature"
    site.nodes["pi5"] = msgspec.structs.replace(site.nodes["pi5"], no_bundles="it takes no bundles")
    site.deploy(FIRST, *NAMES, canary="pi5")
    assert site.rollout.stopped == "pi5: it takes no bundles"
    assert list(site.found.wanted) == ["pi4"]


def test_a_node_that_does_not_run_the_plugin_gets_no_order(site: Site) -> None:
    site.nodes["pi5"] = NodeNow(is_online=True, plugins=frozenset({"oled"}))
    found = site.deploy(FIRST, "pi4", "pi5", "new")
    assert found.nodes["pi5"].reason == "it has no 'room' in plugins.enabled"
    assert site.sent() == ["pi4", "new"]


def test_a_refusal_of_before_is_no_outcome(site: Site) -> None:
    before = DeliveryState(0, "", "", refused="older", refused_ms=7)
    site.nodes["pi4"] = msgspec.structs.replace(site.nodes["pi4"], told={"room": before})
    site.deploy(FIRST, "pi4")
    assert site.step().nodes["pi4"].progress == "sent"


def test_an_order_that_a_node_with_another_clock_refused_is_known_as_such(site: Site) -> None:
    site.deploy(FIRST, "pi4")
    release = site.found.wanted["pi4"]["room"].release
    assert not wanted.has_refused(site.found, "pi4", "room", release)
    site.hear("pi4", DeliveryState(0, "", "", refused="no room", refused_ms=5))
    assert wanted.has_refused(site.found, "pi4", "room", release)
    assert not wanted.has_refused(site.found, "pi4", "room", release + 1)
    assert not wanted.has_refused(site.found, "pi5", "room", release)


def test_without_a_canary_all_get_it_and_one_that_fails_stops_nobody(site: Site) -> None:
    site.deploy(FIRST, *NAMES)
    site.tell("pi4", "rolled-back", "ValueError")
    assert site.sent() == ["attic", "pi5"]
    site.tell("pi5", "kept")
    found = site.tell("attic", "kept")
    assert (found.is_over, found.stopped) == (True, "")


def test_a_node_that_is_away_is_named_and_gets_it_when_it_comes(site: Site) -> None:
    site.nodes["attic"] = msgspec.structs.replace(site.nodes["attic"], is_online=False)
    site.deploy(FIRST, "pi4", "attic")
    found = site.tell("pi4", "kept")
    assert found.nodes["attic"].phase == rollout.AWAY
    assert (found.is_over, found.is_waiting_for_absent) == (False, True)
    site.nodes["attic"] = msgspec.structs.replace(site.nodes["attic"], is_online=True)
    assert site.tell("attic", "kept").is_over


def test_a_canary_that_is_away_is_waited_for_by_the_hub_alone(site: Site) -> None:
    site.nodes["attic"] = msgspec.structs.replace(site.nodes["attic"], is_online=False)
    site.deploy(FIRST, "pi4", canary="attic")
    found = site.step()
    assert (found.is_over, found.is_waiting_for_absent) == (False, True)
    assert found.nodes["pi4"].progress == "waiting"
    site.nodes["attic"] = msgspec.structs.replace(site.nodes["attic"], is_online=True)
    assert not site.step().is_waiting_for_absent


def test_nodes_of_an_area_or_all_are_those_that_run_the_plugin(site: Site) -> None:
    site.nodes["pi5"] = NodeNow(area="cellar")
    site.nodes["pi4"] = msgspec.structs.replace(site.nodes["pi4"], area="cellar")
    assert set(site.deploy(FIRST, area="CELLAR").nodes) == {"pi4", "attic"}
    site.nodes["attic"] = msgspec.structs.replace(site.nodes["attic"], area="Roof")
    assert set(site.deploy(FIRST, area="Cellar").nodes) == {"pi4"}
    assert set(site.deploy(FIRST, is_all=True).nodes) == {"pi4", "attic"}
    found = site.deploy(FIRST, area="Garden")
    assert found.stopped == "found no node in the area 'Garden' that runs room"


def test_a_rollout_needs_nodes_in_one_way() -> None:
    with pytest.raises(MisconfiguredError, match="found no nodes"):
        rollout.for_nodes(Rollout(plugin="room"), [])
    with pytest.raises(MisconfiguredError, match="expected one of them"):
        rollout.for_nodes(Rollout(plugin="room", is_all=True), ["pi4"])


def test_releases_only_grow_also_when_the_clock_goes_back(site: Site) -> None:
    releases = []
    for target in (FIRST, SECOND, FIRST):
        site.deploy(target, *NAMES)
        releases += sorted(plugins["room"].release for plugins in site.found.wanted.values())
        site.now_ms -= 100_000
    assert releases == sorted(set(releases))
    assert releases[0] >= 2000


def test_a_node_that_is_ahead_gets_a_release_after_its_own(site: Site) -> None:
    for name, release in (("pi4", 10**15), ("pi5", 2**53)):
        site.hear_of(name, DeliveryState(release, "", "kept"))
    site.deploy(FIRST, *NAMES)
    releases = {name: site.found.wanted[name]["room"].release for name in NAMES}
    assert releases["pi4"] == 10**15 + 1
    assert max(releases["attic"], releases["pi5"]) < 10**15


def test_a_rollback_brings_back_what_was_kept_before_then_the_nodes_own_file(site: Site) -> None:
    for target in (FIRST, SECOND):
        site.deploy(target, "pi4")
        site.tell("pi4", "kept")
    site.roll_back("pi4")
    assert site.target("pi4") == FIRST
    site.tell("pi4", "kept")
    site.roll_back("pi4")
    assert site.target("pi4").sha256 == ""


def test_a_version_whose_file_is_gone_is_told_and_left_out_of_the_way_back(site: Site) -> None:
    third = Target("3" * 64, "3.0", "sensor-plugin")
    for target in (FIRST, SECOND, third):
        site.deploy(target, "pi4")
        site.tell("pi4", "kept")
    site.gone = {SECOND.sha256}
    node = site.roll_back("pi4").nodes["pi4"]
    assert (node.progress, node.phase) == ("failed", "refused")
    assert node.reason == (
        "the file of version 2.0 is gone from the hub; deploy it again, or roll back once more, to "
        "the one before it"
    )
    assert site.target("pi4") == third
    site.roll_back("pi4")
    assert site.target("pi4") == FIRST
    site.tell("pi4", "kept")
    found = site.deploy(SECOND, "pi4", "attic", canary="attic")
    assert found.stopped == ("attic: the file of version 2.0 is gone from the hub; deploy it again")


def test_a_version_that_was_not_kept_is_none_to_go_back_to(site: Site) -> None:
    site.deploy(FIRST, "pi4")
    site.tell("pi4", "kept")
    site.deploy(SECOND, "pi4")
    site.tell("pi4", "rolled-back", "ValueError")
    third = Target("3" * 64, "3.0", "sensor-plugin")
    site.deploy(third, "pi4")
    site.tell("pi4", "kept")
    site.roll_back("pi4")
    assert site.target("pi4") == FIRST


def test_what_a_node_has_just_kept_is_there_to_go_back_to(site: Site) -> None:
    site.deploy(FIRST, "pi4")
    release = site.found.wanted["pi4"]["room"].release
    # The hub has heard it, and looks at it together with the next rollout.
    site.hear_of("pi4", DeliveryState(release, "", "kept", ""))
    site.deploy(SECOND, "pi4")
    site.roll_back("pi4")
    assert site.target("pi4") == FIRST


def test_another_rollout_takes_the_place_of_one_that_waits(site: Site) -> None:
    site.deploy(FIRST, *NAMES, canary="pi4")
    site.deploy(SECOND, *NAMES)
    assert {site.target(name) for name in NAMES} == {SECOND}
    # What the canary still tells of the first one changes nothing.
    site.hear("pi4", DeliveryState(1, "1.0", "rolled-back", "ValueError"))
    assert site.rollout.stopped == ""


def test_a_removed_node_is_forgotten_and_bundles_that_may_be_sent_are_known(site: Site) -> None:
    site.deploy(FIRST, *NAMES)
    site.tell("pi4", "kept")
    site.deploy(SECOND, "pi4")
    assert site.found.digests() == {FIRST.sha256, SECOND.sha256}
    assert set(wanted.without_nodes(site.found, {"pi4"}).wanted) == {"attic", "pi5"}


def test_a_shadow_is_over_when_it_polls_and_a_rollback_drops_it(site: Site) -> None:
    site.deploy(FIRST, "pi4")
    site.tell("pi4", "kept")
    site.deploy(msgspec.structs.replace(SECOND, is_shadow=True), "pi4")
    assert site.tell("pi4", "shadow").is_over
    site.roll_back("pi4")
    assert site.target("pi4").sha256 == FIRST.sha256


def test_a_shadow_that_is_promoted_leaves_what_ran_before_to_go_back_to(site: Site) -> None:
    site.deploy(FIRST, "pi4")
    site.tell("pi4", "kept")
    site.deploy(msgspec.structs.replace(SECOND, is_shadow=True), "pi4")
    site.tell("pi4", "shadow")
    site.deploy(SECOND, "pi4")
    site.tell("pi4", "kept")
    site.roll_back("pi4")
    assert site.target("pi4").sha256 == FIRST.sha256


def test_only_a_version_in_the_shadow_is_promoted(site: Site) -> None:
    site.deploy(FIRST, "pi4", "pi5")
    site.tell("pi4", "kept")
    site.deploy(msgspec.structs.replace(SECOND, is_shadow=True), "pi4")
    assert wanted.shadow_at(site.found, "room", ["pi4"]) == SECOND
    for nodes in (["pi5"], ["pi4", "pi5"], ["nobody"], []):
        with pytest.raises(MisconfiguredError, match="found no version of room in the shadow"):
            wanted.shadow_at(site.found, "room", nodes)
