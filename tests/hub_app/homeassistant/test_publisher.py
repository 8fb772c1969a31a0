"""Publisher of discovery: what it follows, how fast, and what it leaves."""

from collections.abc import Iterable
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from bus.client.link import WireMessage
from bus.contract.description import SensorDescription
from bus.contract.messages import Alarm, Event, Leds, Message, Oled, PluginState
from bus.contract.topics import Topic, TopicKind
from hub_app.alarms.rules import RuleBook
from hub_app.homeassistant.publisher import STEP_S, Publisher
from hub_app.homeassistant.site import Site
from hub_app.live.state import State
from tests.allowed_messages import any_message, topic_of
from tests.default_descriptions import description_of
from tests.hub_app.alarms import samples as alarms
from tests.hub_app.homeassistant.samples import ONLINE, about
from tests.hub_app.samples import NOW_MS, heartbeat, reading

SENSOR = "dht22-gpio4"
DISCOVERY = "homeassistant/"
TEMPERATURE = f"{DISCOVERY}sensor/harvester_pi4_{SENSOR}_temperature/config"
PROBLEMS = f"{DISCOVERY}binary_sensor/harvester_pi4/state"
PICTURE = f"{DISCOVERY}image/harvester_pi4/state"


class Run:
    """A publisher on a live state and a broker that keeps what it gets, with a clock of its own."""

    def __init__(self, retained: dict[str, bytes] | None = None, **options: Any) -> None:
        self.now_s = 1000.0
        self.now_ms = NOW_MS
        self.state = State()
        self.book = RuleBook()
        self.retained = {} if retained is None else retained
        self.sent: list[tuple[str, bytes]] = []
        self.is_connected = True
        site = Site("revpi", **{k: options.pop(k) for k in ("form", "nodes") if k in options})
        self.publisher = Publisher(
            site,
            self.state,
            self.book,
            publish=self._publish,
            monotonic_s=lambda: self.now_s,
            uniform=lambda _least, most: most,
            **options,
        )
        self.publisher.on_messages(list(self.retained.items()))

    def tell(self, kind: TopicKind, message: Message, name: str = "", node: str = "pi4") -> None:
        changes = self.state.apply(Topic(node, kind, name), message, self.now_ms)
        self.publisher.on_changes(changes, self.now_ms)

    def introduce(self, node: str = "pi4", *sensors: str) -> None:
        """Let a node say what it is, with sensors that have readings."""
        self.tell(TopicKind.STATUS, ONLINE, node=node)
        self.tell(TopicKind.ABOUT, about(), node=node)
        for sensor in sensors or (SENSOR,):
            self.tell(TopicKind.SENSOR, description_of("dht22"), sensor, node)
            topic, message = reading(node=node, sensor=sensor, temperature=21.0, humidity=50.0)
            self.publisher.on_changes(self.state.apply(topic, message, self.now_ms), self.now_ms)

    def remove(self, topic: Topic) -> None:
        self.publisher.on_changes(self.state.remove(topic), self.now_ms)

    def run(self, seconds: float) -> list[tuple[str, bytes]]:
        """Let time pass; return what was published meanwhile."""
        self.sent.clear()
        for _ in range(round(seconds / STEP_S)):
            self.now_s += STEP_S
            self.now_ms += round(STEP_S * 1000)
            self.publisher.step(self.now_ms)
        return list(self.sent)

    def config(self, topic: str) -> dict[str, Any]:
        found: dict[str, Any] = msgspec.json.decode(self.retained[topic])
        return found

    def _publish(self, message: WireMessage) -> int | None:
        if not self.is_connected:
            return None
        assert message.retain
        assert message.qos == 1
        self.sent.append((message.topic, message.payload))
        if message.payload:
            self.retained[message.topic] = message.payload
        else:
            self.retained.pop(message.topic, None)
        self.publisher.on_messages([(message.topic, message.payload)])
        return len(self.sent)


def started(*sensors: str, **options: Any) -> Run:
    run = Run(**options)
    run.introduce("pi4", *sensors)
    # No longer than until the sensors count as silent.
    run.run(5)
    return run


def configs(sent: Iterable[tuple[str, bytes]]) -> list[tuple[str, bytes]]:
    """Return what is of entities: states change by themselves when time passes."""
    return [(topic, payload) for topic, payload in sent if topic.endswith("/config")]


def topics_of(sent: Iterable[tuple[str, bytes]]) -> set[str]:
    return {topic for topic, _ in sent}


def test_a_node_is_published_once_and_nothing_while_nothing_changes() -> None:
    run = started()
    assert TEMPERATURE in run.retained
    run.introduce()
    run.tell(TopicKind.HEARTBEAT, heartbeat(run.now_ms))
    assert configs(run.run(3)) == []


def test_a_new_sensor_is_there_within_a_cycle() -> None:
    run = started()
    run.tell(TopicKind.SENSOR, description_of("dht22"), "attic")
    assert f"{DISCOVERY}sensor/harvester_pi4_attic_temperature/config" in topics_of(run.run(2))


def test_a_new_name_is_a_new_name_of_the_same_entity() -> None:
    run = started()
    before = run.config(TEMPERATURE)
    run.tell(TopicKind.SENSOR, description_of("dht22", "Desk"), SENSOR)
    assert TEMPERATURE in topics_of(run.run(2))
    after = run.config(TEMPERATURE)
    assert after["name"] == "Desk Temperature"
    assert after["unique_id"] == before["unique_id"]


def test_a_field_that_is_gone_is_emptied() -> None:
    run = started()
    described = description_of("dht22")
    humidity = {"humidity": described.fields["humidity"]}
    run.tell(TopicKind.SENSOR, msgspec.structs.replace(described, fields=humidity), SENSOR)
    assert configs(run.run(2)) == [(TEMPERATURE, b"")]


def test_a_removed_node_leaves_nothing() -> None:
    run = started()
    run.tell(TopicKind.OLED, Oled(8, 1, on=True, frame=b"\x01"))
    run.run(2)
    assert PICTURE in run.retained
    run.publisher.on_changes(run.state.remove_node("pi4"), run.now_ms)
    run.run(20)
    assert run.retained == {}


def test_an_emptied_description_removes_the_sensor_alone() -> None:
    run = started()
    run.remove(Topic("pi4", TopicKind.SENSOR, SENSOR))
    run.run(2)
    assert not [topic for topic in run.retained if SENSOR in topic]
    assert f"{DISCOVERY}binary_sensor/harvester_pi4__online/config" in run.retained


def test_after_a_restart_nothing_is_published_twice_and_what_is_gone_is_emptied() -> None:
    run = started(SENSOR, "gone")
    again = Run(dict(run.retained))
    again.introduce()
    sent = configs(again.run(20))
    assert sent
    assert all(payload == b"" and "gone" in topic for topic, payload in sent)


def test_nothing_is_emptied_before_the_nodes_have_come() -> None:
    run = started()
    again = Run(dict(run.retained))
    assert again.run(10) == []
    again.introduce()
    assert configs(again.run(20)) == []


def test_discovery_that_is_switched_off_leaves_nothing() -> None:
    run = started()
    again = Run(dict(run.retained), is_on=False)
    again.introduce()
    again.run(20)
    assert again.retained == {}


def test_only_the_nodes_of_the_configuration_are_published() -> None:
    run = Run(nodes=("pi4", "attic*"))
    for node in ("pi4", "pi5", "attic-1"):
        run.introduce(node)
    run.run(20)
    assert {topic.split("_")[1].split("/")[0] for topic in map(_id_of, run.retained)} == {
        "pi4",
        "attic-1",
    }


def _id_of(topic: str) -> str:
    return topic.split("/")[2]


def test_the_other_form_is_emptied_before_the_new_one_is_published() -> None:
    run = started()
    singles = {topic for topic in run.retained if topic.endswith("/config")}
    again = Run(dict(run.retained), form="device")
    again.introduce()
    sent = again.run(20)
    assert topics_of(sent[: len(singles)]) == singles
    assert not singles & again.retained.keys()
    assert f"{DISCOVERY}device/harvester_pi4_{SENSOR}/config" in again.retained


def test_everything_is_published_again_after_a_birth_with_a_delay() -> None:
    run = started()
    everything = set(run.retained)
    run.publisher.on_messages([(f"{DISCOVERY}status", b"offline")])
    assert configs(run.run(12)) == []
    run.publisher.on_messages([(f"{DISCOVERY}status", b"online")])
    assert configs(run.run(9)) == []
    assert topics_of(run.run(3)) == everything


def test_a_flood_of_births_neither_delays_nor_repeats_the_answer() -> None:
    run = started()
    everything = set(run.retained)
    said = []
    for _ in range(12):
        run.publisher.on_messages([(f"{DISCOVERY}status", b"online")] * 100)
        said += run.run(1)
    assert topics_of(said) == everything
    assert len(configs(said)) == len(set(topics_of(configs(said))))


def test_everything_is_published_again_where_the_broker_lost_it() -> None:
    run = started()
    everything = set(run.retained)
    run.is_connected = False
    run.retained.clear()
    run.tell(TopicKind.SENSOR, description_of("dht22", "Desk"), SENSOR)
    assert run.run(2) == []
    run.is_connected = True
    run.publisher.on_connect()
    assert topics_of(run.run(5)) == everything


def test_a_step_tells_whether_there_may_be_more() -> None:
    run = started()
    assert not run.publisher.step(run.now_ms)
    for n in range(10):
        run.introduce(f"n{n}", "a", "b", "c")
    assert run.publisher.step(run.now_ms)
    while run.publisher.step(run.now_ms):
        pass
    assert run.publisher.waiting == 0
    run.run(1)
    assert not run.publisher.step(run.now_ms)


def test_many_nodes_are_published_at_a_bounded_rate_while_news_go_first() -> None:
    run = Run()
    for n in range(60):
        run.introduce(f"n{n}", "a", "b", "c")
    run.run(3)
    for _ in range(30):
        assert len(run.run(STEP_S)) <= 20
    run.run(120)
    run.publisher.on_messages([(f"{DISCOVERY}status", b"online")])
    run.run(11)
    assert run.publisher.waiting > 200
    run.tell(TopicKind.SENSOR, description_of("dht22", "Desk"), "a", "n7")
    assert f"{DISCOVERY}sensor/harvester_n7_a_temperature/config" in topics_of(run.run(0.3))


def test_a_fault_is_told_when_a_value_is_missing_and_when_there_are_no_readings() -> None:
    run = started()
    assert run.config(PROBLEMS) == {"faults": {}, "alarms": {}}
    topic, message = reading(run.now_ms, seq=2, sensor=SENSOR, temperature=21.0)
    run.publisher.on_changes(run.state.apply(topic, message, run.now_ms), run.now_ms)
    run.run(1)
    assert run.config(PROBLEMS)["faults"] == {SENSOR: {"reason": "Humidity was not measured"}}
    topic, message = reading(run.now_ms, seq=3, sensor=SENSOR, temperature=21.0, humidity=50.0)
    run.publisher.on_changes(run.state.apply(topic, message, run.now_ms), run.now_ms)
    run.run(1)
    assert run.config(PROBLEMS)["faults"] == {}
    run.run(8)
    assert run.config(PROBLEMS)["faults"] == {SENSOR: {"reason": "no new readings"}}


def test_an_alarm_is_a_state_while_it_is_active() -> None:
    run = started()
    alarm = Alarm("warning", "too warm", NOW_MS, 31.0, 30.0, rule="too-warm", sensor=SENSOR)
    run.tell(TopicKind.ALARM, alarm, f"too-warm--{SENSOR}")
    run.run(1)
    assert run.config(PROBLEMS)["alarms"][f"too-warm--{SENSOR}"]["text"] == "too warm"
    run.remove(Topic("pi4", TopicKind.ALARM, f"too-warm--{SENSOR}"))
    run.run(1)
    assert run.config(PROBLEMS)["alarms"] == {}


def test_a_rule_is_an_entity_of_each_sensor_that_it_covers_and_goes_with_it() -> None:
    run = started()
    topic = f"{DISCOVERY}binary_sensor/harvester_pi4__alarm_too-warm--{SENSOR}/config"
    run.book.set_page_rules([alarms.config()])
    assert topic in topics_of(run.run(3))
    run.book.set_page_rules([])
    assert (topic, b"") in run.run(3)


def test_an_event_makes_an_entity_which_a_restart_keeps() -> None:
    run = started()
    run.tell(TopicKind.EVENT, Event("pressed", {}, NOW_MS), SENSOR)
    topic = f"{DISCOVERY}event/harvester_pi4__event_{SENSOR}/config"
    assert topic in topics_of(run.run(2))
    assert run.config(topic)["event_types"] == ["pressed"]
    again = Run(dict(run.retained))
    again.introduce()
    assert configs(again.run(20)) == []
    again.tell(TopicKind.EVENT, Event("held", {}, NOW_MS), SENSOR)
    again.run(2)
    assert again.config(topic)["event_types"] == ["pressed", "held"]


def test_a_picture_is_published_every_ten_seconds_at_most() -> None:
    run = started()
    sent = []
    for n in range(40):
        run.tell(TopicKind.OLED, Oled(8, 1, on=True, frame=bytes([n])))
        sent += [topic for topic, _ in run.run(1)]
    assert 3 <= sent.count(PICTURE) <= 5


def test_leds_are_lights_which_follow_the_length_of_the_strip_only() -> None:
    run = started()
    run.tell(TopicKind.LEDS, Leds(["#000000", "#ff0000"]))
    assert len(configs(run.run(2))) == 2
    run.tell(TopicKind.LEDS, Leds(["#00ff00", "#ff0000"]))
    assert run.run(2) == []


def test_a_newer_version_on_another_node_is_an_update() -> None:
    run = started()
    for node, version in (("pi4", "1.9.0"), ("pi5", "1.10.0")):
        run.introduce(node)
        said = PluginState("running", "", NOW_MS, 0, version=version)
        run.tell(TopicKind.PLUGIN, said, "dht22", node)
    run.run(5)
    update = run.config(f"{DISCOVERY}update/harvester_pi4__plugin-version_dht22/config")
    assert "'latest_version': '1.10.0'" in update["value_template"]


def test_a_value_of_another_kind_than_described_is_an_entity_of_its_kind() -> None:
    run = started()
    described = msgspec.convert(
        {"plugin": "p", "title": "", "area": "", "interval_s": 2.0, "fields": {"x": {}}},
        SensorDescription,
    )
    run.tell(TopicKind.SENSOR, described, "box")
    topic, message = reading(sensor="box", x=True)
    run.publisher.on_changes(run.state.apply(topic, message, run.now_ms), run.now_ms)
    assert f"{DISCOVERY}binary_sensor/harvester_pi4_box_x/config" in topics_of(run.run(2))


@given(st.lists(st.tuples(any_message(), st.sampled_from(("pi4", "pi5"))), max_size=12))
@settings(max_examples=25)
def test_no_message_stops_discovery(said: list[tuple[Message, str]]) -> None:
    run = Run()
    for message, node in said:
        topic = topic_of(message, node)
        run.publisher.on_changes(run.state.apply(topic, message, run.now_ms), run.now_ms)
        run.run(STEP_S)
    run.run(4)
    for topic, payload in run.retained.items():
        if not topic.startswith(f"{DISCOVERY}image/"):
            msgspec.json.decode(payload)
    for node in run.state.nodes:
        run.publisher.on_changes(run.state.remove_node(node), run.now_ms)
    run.run(25)
    assert run.retained == {}
