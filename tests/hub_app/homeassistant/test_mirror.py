"""Mirror of retained messages: what is due, what is gone, and what an earlier run left."""

import msgspec

from bus.contract.discovery import DiscoveryTopic
from hub_app.homeassistant.mirror import Mirror, Publication
from hub_app.homeassistant.site import Site

PREFIX = "homeassistant"
SITE = Site("revpi")
STATE = f"{PREFIX}/binary_sensor/harvester_pi4/state"


def topic(name: str, component: str = "sensor") -> DiscoveryTopic:
    return DiscoveryTopic(PREFIX, component, f"harvester_{name}")


def config(text: str = "", origin: str = "HARVESTER (revpi)", **more: object) -> bytes:
    return msgspec.json.encode({"name": text, "origin": {"name": origin}, **more})


def taken(mirror: Mirror, *, with_strays: bool = True) -> list[Publication]:
    return list(mirror.take(100, with_strays=with_strays))


def published(site: Site = SITE, *names: str) -> Mirror:
    mirror = Mirror(site)
    for name in names:
        mirror.want(name, {topic(name): config(name)})
    taken(mirror)
    return mirror


def test_births_in_short_order_keep_nothing_from_its_turn() -> None:
    mirror = published(SITE, "a", "b", "c")
    mirror.repeat()
    first = list(mirror.take(1, with_strays=True))
    mirror.repeat()
    assert [text for text, _ in first + taken(mirror)] == [
        str(topic(name)) for name in ("a", "b", "c", "a")
    ]


def test_only_what_has_changed_is_published() -> None:
    mirror = published(SITE, "a", "b")
    assert taken(mirror) == []
    mirror.want("a", {topic("a"): config("other")})
    mirror.want("b", {topic("b"): config("b")})
    assert taken(mirror) == [(str(topic("a")), config("other"))]


def test_what_the_broker_has_already_is_not_published_again() -> None:
    mirror = Mirror(SITE)
    mirror.hear(str(topic("a")), config("a"))
    mirror.want("a", {topic("a"): config("a")})
    assert taken(mirror) == []


def test_what_is_gone_is_emptied() -> None:
    mirror = published(SITE, "a", "b")
    mirror.want("a", {})
    assert taken(mirror) == [(str(topic("a")), b"")]
    mirror.hear(str(topic("a")), b"")
    assert taken(mirror) == []


def test_an_echo_that_comes_late_does_not_empty_twice() -> None:
    mirror = published(SITE, "a")
    mirror.want("a", {})
    taken(mirror)
    mirror.hear(str(topic("a")), config("a"))
    assert taken(mirror) == []
    mirror.hear(str(topic("a")), b"")
    mirror.hear(str(topic("a")), config("a"))
    assert taken(mirror) == [(str(topic("a")), b"")]


def test_what_an_earlier_run_left_is_emptied_with_its_states_once_all_is_known() -> None:
    mirror = Mirror(SITE)
    mirror.hear(str(topic("old")), config(state_topic=STATE))
    mirror.hear(STATE, b"{}")
    assert taken(mirror, with_strays=False) == []
    assert taken(mirror) == [(str(topic("old")), b""), (STATE, b"")]
    assert taken(mirror) == []


def test_a_state_that_something_else_has_stays() -> None:
    mirror = Mirror(SITE)
    mirror.hear(str(topic("old")), config(state_topic=STATE))
    wanted = DiscoveryTopic(PREFIX, "binary_sensor", "harvester_pi4", "state")
    mirror.want("problems", {wanted: b"{}"})
    assert taken(mirror) == [(STATE, b"{}"), (str(topic("old")), b"")]


def test_what_another_hub_or_another_product_published_is_left_alone() -> None:
    mirror = Mirror(SITE)
    mirror.hear(str(topic("other")), config(origin="HARVESTER (cellar)"))
    mirror.hear(f"{PREFIX}/sensor/zigbee/config", config())
    mirror.hear("zigbee2mqtt/bridge", config())
    assert taken(mirror) == []


def test_on_its_own_broker_a_hub_removes_what_it_published_under_another_name() -> None:
    mirror = Mirror(SITE, is_sole=True)
    mirror.hear(str(topic("other")), config(origin="HARVESTER (former)"))
    assert taken(mirror) == [(str(topic("other")), b"")]


def test_the_other_form_is_removed_before_anything_is_published() -> None:
    mirror = Mirror(Site("revpi", form="device"))
    mirror.hear(str(topic("a")), config("a"))
    mirror.want("a", {topic("pi4", "device"): config("a", components={})})
    assert taken(mirror, with_strays=False) == [(str(topic("a")), b"")]
    assert [name for name, _ in taken(mirror)] == [str(topic("pi4", "device"))]


def test_a_component_that_goes_is_named_first() -> None:
    mirror = Mirror(Site("revpi", form="device"))
    device = topic("pi4", "device")
    both = config(components={"a": {"platform": "sensor"}, "b": {"platform": "fan", "name": "x"}})
    one = config(components={"a": {"platform": "sensor"}})
    mirror.want("pi4", {device: both})
    taken(mirror)
    mirror.want("pi4", {device: one})
    (_, removal), (_, final) = taken(mirror)
    assert msgspec.json.decode(removal)["components"] == {
        "a": {"platform": "sensor"},
        "b": {"platform": "fan"},
    }
    assert final == one


def test_a_repetition_lets_changes_go_first() -> None:
    mirror = published(SITE, "a", "b")
    mirror.repeat()
    mirror.want("b", {topic("b"): config("new")})
    assert [name for name, _ in taken(mirror)] == [
        str(topic("b")),
        str(topic("a")),
        str(topic("b")),
    ]


def test_everything_is_published_again_where_the_broker_may_have_lost_it() -> None:
    mirror = published(SITE, "a", "b")
    mirror.forget()
    assert [name for name, _ in taken(mirror)] == [str(topic("a")), str(topic("b"))]


def test_what_somebody_else_emptied_is_published_again() -> None:
    mirror = published(SITE, "a")
    mirror.hear(str(topic("a")), b"")
    assert taken(mirror) == [(str(topic("a")), config("a"))]


def test_no_more_is_taken_than_was_asked_for() -> None:
    mirror = Mirror(SITE)
    mirror.want("all", {topic(f"s{n}"): config() for n in range(50)})
    assert len(list(mirror.take(20, with_strays=True))) == 20
    assert mirror.waiting == 30
