"""The live state: values, presence and limits."""

import msgspec

from bus.config.limits_table import LimitsConfig
from bus.contract.description import About, SensorDescription
from bus.contract.messages import Alarm, Buzzer, Event, Leds, Oled, PluginState, Result, encode
from bus.contract.topics import Topic, TopicKind
from hub_app.history.retention import heartbeats
from hub_app.http.api.commands import default_buzzer_node
from hub_app.http.api.nodes import node_object
from hub_app.live.change import Change
from hub_app.live.log_lines import LOG_LINES_PER_NODE
from hub_app.live.state import NODES_AT_ONCE, State
from hub_app.quota.refusals import Refusals
from tests.default_descriptions import description_of
from tests.hub_app.samples import INTERVAL_MS, NOW_MS, heartbeat, log, reading, status

STATUS = Topic("pi4", TopicKind.STATUS)
HEARTBEAT = Topic("pi4", TopicKind.HEARTBEAT)
LOG = Topic("pi4", TopicKind.LOG)
OLED = Topic("pi4", TopicKind.OLED)
SENSOR = Topic("pi4", TopicKind.SENSOR, "dht22-gpio4")
ABOUT = Topic("pi4", TopicKind.ABOUT)
BUTTON = Topic("pi4", TopicKind.EVENT, "button")
ALARM = Alarm("warning", "Too warm", NOW_MS)


def about(title: str = "", area: str = "") -> About:
    return About(title, area, "", "", "", "", {}, {})


def about_sensor(title: str) -> SensorDescription:
    return SensorDescription("air", title, "", 2.0, {})


def presence(hub: State, node: str = "pi4") -> str:
    return hub.presence(node).presence


def picture(last: bytes = b"\0", *, on: bool = True) -> Oled:
    return Oled(128, 64, on=on, frame=bytes(1023) + last)


def shown(hub: State) -> dict[str, float]:
    (entry,) = hub.of_kind(TopicKind.READING)
    data: dict[str, float] = entry.value.data
    return data


def test_a_reading_is_a_change_of_its_topic_and_makes_its_node_known() -> None:
    hub = State()
    changes = hub.apply(*reading(), NOW_MS)
    assert [change.kind for change in changes] == [TopicKind.STATUS, TopicKind.READING]
    assert changes[1].topic == "harvester/pi4/readings/dht22-gpio4"
    assert changes[1].value.sensor_id == "pi4:dht22-gpio4"
    assert hub.last_update_ms == NOW_MS


def swept(hub: State, now_ms: int) -> tuple[list[Change], list[int]]:
    """Return the changes of a sweep in all its steps, and how many nodes each step looked at."""
    changes, looked_at = hub.sweep(now_ms), [hub.looked_at]
    while hub.has_due(now_ms):
        changes += hub.sweep(now_ms)
        looked_at.append(hub.looked_at)
    return changes, looked_at


def test_a_sweep_looks_only_at_nodes_that_may_be_lost() -> None:
    hub = State(LimitsConfig(nodes=1000))
    for number in range(1000):
        hub.apply(Topic(f"node-{number}", TopicKind.STATUS), status(), NOW_MS)
    assert swept(hub, NOW_MS + INTERVAL_MS) == ([], [0])
    # All but three say something in time.
    for number in range(3, 1000):
        hub.apply(Topic(f"node-{number}", TopicKind.HEARTBEAT), heartbeat(), NOW_MS + 5000)
    lost, looked_at = swept(hub, NOW_MS + 3 * INTERVAL_MS + 1)
    assert {change.node for change in lost} == {"node-0", "node-1", "node-2"}
    assert sum(looked_at) == 1000
    assert max(looked_at) == NODES_AT_ONCE
    assert swept(hub, NOW_MS + 3 * INTERVAL_MS + 2) == ([], [0])
    _, looked_at = swept(hub, NOW_MS + 5000 + 3 * INTERVAL_MS + 1)
    assert sum(looked_at) == 997


def test_an_older_reading_never_replaces_a_newer_one_of_its_stream() -> None:
    hub = State()
    hub.apply(*reading(NOW_MS, 2, temperature=22.0), NOW_MS)
    assert hub.apply(*reading(NOW_MS - 2000, 1, temperature=20.0), NOW_MS) == []
    assert shown(hub) == {"temperature": 22.0}
    assert hub.outdated == 1


def test_the_same_reading_twice_is_no_change() -> None:
    hub = State()
    hub.apply(*reading(), NOW_MS)
    assert hub.apply(*reading(), NOW_MS + 1) == []


def test_a_later_reading_counts_even_where_the_clock_was_set_back() -> None:
    hub = State()
    hub.apply(*reading(NOW_MS, 1, temperature=20.0), NOW_MS)
    hub.apply(*reading(NOW_MS - 3_600_000, 2, temperature=22.0), NOW_MS)
    assert shown(hub) == {"temperature": 22.0}


def test_a_new_stream_replaces_the_old_one() -> None:
    hub = State()
    hub.apply(*reading(NOW_MS, 900), NOW_MS)
    hub.apply(*reading(NOW_MS - 50, 1, stream="t", temperature=5.0), NOW_MS)
    assert shown(hub) == {"temperature": 5.0}


def test_a_silent_node_is_lost_after_three_cycles_without_a_last_will() -> None:
    hub = State()
    hub.apply(STATUS, status(), NOW_MS)
    assert hub.sweep(NOW_MS + 3 * INTERVAL_MS) == []
    (change,) = hub.sweep(NOW_MS + 3 * INTERVAL_MS + 1)
    assert (change.topic, change.value.presence) == ("harvester/pi4/status", "lost")
    assert hub.sweep(NOW_MS + 4 * INTERVAL_MS) == []


def test_a_lost_node_that_is_heard_again_is_online() -> None:
    hub = State()
    hub.apply(STATUS, status(), NOW_MS)
    hub.sweep(NOW_MS + 60_000)
    changes = hub.apply(HEARTBEAT, heartbeat(), NOW_MS + 61_000)
    assert [change.kind for change in changes] == [TopicKind.STATUS, TopicKind.HEARTBEAT]
    assert presence(hub) == "online"


def test_the_last_will_makes_a_node_offline_at_once() -> None:
    hub = State()
    hub.apply(STATUS, status(), NOW_MS)
    (change,) = hub.apply(STATUS, status("offline"), NOW_MS + 10)
    assert change.value.presence == "offline"


def test_a_retained_reading_does_not_bring_an_offline_node_back() -> None:
    hub = State()
    hub.apply(STATUS, status("offline"), NOW_MS)
    hub.apply(*reading(), NOW_MS + 1)
    assert presence(hub) == "offline"


def test_a_heartbeat_after_the_last_will_proves_that_the_will_was_late() -> None:
    hub = State()
    hub.apply(STATUS, status("offline"), NOW_MS)
    hub.apply(HEARTBEAT, heartbeat(), NOW_MS + 1)
    assert presence(hub) == "online"


def test_the_will_of_a_replaced_process_is_ignored() -> None:
    hub = State()
    hub.apply(STATUS, status(boot_id="new", since_ms=NOW_MS), NOW_MS)
    assert hub.apply(STATUS, status("offline", "old", NOW_MS - 9000), NOW_MS + 1) == []
    assert presence(hub) == "online"


def test_a_nodes_wrong_clock_does_not_make_its_readings_old() -> None:
    hub = State()
    hour_ms = 3_600_000
    hub.apply(HEARTBEAT, heartbeat(NOW_MS - hour_ms), NOW_MS)
    change = hub.apply(*reading(NOW_MS - hour_ms + 100), NOW_MS + 120)[0]
    assert change.value.at_ms == NOW_MS + 100
    assert change.value.timestamp_ms == NOW_MS - hour_ms + 100


def test_a_reading_is_never_taken_in_the_future() -> None:
    hub = State()
    change = hub.apply(*reading(NOW_MS + 9_999_999), NOW_MS)[1]
    assert change.value.at_ms == NOW_MS


def test_a_reading_is_old_after_three_cycles_of_its_node_or_of_a_slower_sensor() -> None:
    hub = State()
    hub.apply(STATUS, status(), NOW_MS)
    first = hub.apply(*reading(NOW_MS, 1), NOW_MS)[0]
    second = hub.apply(*reading(NOW_MS + 10_000, 2), NOW_MS + 10_000)[-1]
    assert first.value.stale_after_ms == 3 * INTERVAL_MS
    assert second.value.stale_after_ms == 30_000


def test_one_long_outage_does_not_make_a_sensor_a_slow_one() -> None:
    hub = State()
    hub.apply(STATUS, status(), NOW_MS)
    for seq, at_ms in enumerate((0, 2000, 62_000)):
        change = hub.apply(*reading(NOW_MS + at_ms, seq), NOW_MS + at_ms)[-1]
    assert change.value.stale_after_ms == 3 * INTERVAL_MS


def test_nodes_beyond_the_bound_are_refused_and_counted() -> None:
    refusals = Refusals()
    hub = State(LimitsConfig(nodes=3), refusals)
    for i in range(5):
        hub.apply(Topic(f"n{i}", TopicKind.STATUS), status(), NOW_MS)
    assert (len(hub.nodes), hub.refused) == (3, 2)
    assert refusals.of("n4") == {"nodes": 1}


def test_sensors_of_a_kind_share_one_description() -> None:
    hub = State()
    for node in ("pi4", "pi5"):
        hub.apply(Topic(node, TopicKind.SENSOR, "air"), description_of("dht22"), NOW_MS)
    hub.apply(Topic("pi5", TopicKind.SENSOR, "attic"), about_sensor("attic"), NOW_MS)
    first, second, other = (entry.value for entry in hub.of_kind(TopicKind.SENSOR))
    assert first is second
    assert other.description.title == "attic"


def test_an_alarm_that_is_over_leaves_the_place_of_a_node_that_was_never_heard() -> None:
    hub = State(LimitsConfig(nodes=1))
    gone = Topic("gone", TopicKind.ALARM, "hot")
    assert hub.apply(gone, ALARM, NOW_MS)
    hub.remove(gone)
    hub.apply(Topic("pi4", TopicKind.STATUS), status(), NOW_MS)
    assert hub.nodes == ["pi4"]
    # One that is here keeps its place.
    alarm = Topic("pi4", TopicKind.ALARM, "hot")
    hub.apply(alarm, ALARM, NOW_MS)
    hub.remove(alarm)
    hub.apply(Topic("pi5", TopicKind.STATUS), status(), NOW_MS)
    assert hub.nodes == ["pi4"]


def test_a_nodes_sensors_beyond_its_quota_are_refused_and_known_ones_still_taken() -> None:
    refusals = Refusals()
    hub = State(LimitsConfig(sensors=3), refusals)
    for i in range(5):
        hub.apply(*reading(sensor=f"s{i}"), NOW_MS)
    assert refusals.of("pi4") == {"sensors": 2}
    assert hub.apply(*reading(NOW_MS + 1, 2, sensor="s0"), NOW_MS + 1)
    assert hub.apply(*reading(node="pi5", sensor="s9"), NOW_MS)


def test_results_of_ever_new_actuators_are_refused_and_known_ones_still_taken() -> None:
    refusals = Refusals()
    hub = State(LimitsConfig(actuators=3), refusals)
    result = Result("1", ok=True, error="", finished_ms=NOW_MS)
    for i in range(5):
        hub.apply(Topic("pi4", TopicKind.RESULT, f"a{i}"), result, NOW_MS)
    assert len(hub.of_kind(TopicKind.RESULT)) == 3
    assert refusals.of("pi4") == {"actuators": 2}
    assert hub.apply(Topic("pi4", TopicKind.RESULT, "a0"), result, NOW_MS)
    assert hub.apply(Topic("pi5", TopicKind.RESULT, "a9"), result, NOW_MS)


def test_refusals_are_shown_at_their_node() -> None:
    hub = State(LimitsConfig(sensors=1))
    for i in range(3):
        hub.apply(*reading(sensor=f"s{i}"), NOW_MS)
    (change,) = hub.sweep(NOW_MS)
    assert change.value.refused == {"sensors": 2}
    assert hub.sweep(NOW_MS) == []


def test_a_node_whose_readings_are_refused_is_still_alive() -> None:
    hub = State(LimitsConfig(sensors=1))
    hub.apply(STATUS, status(), NOW_MS)
    hub.apply(*reading(sensor="s0"), NOW_MS)
    later_ms = NOW_MS + 100_000
    hub.apply(*reading(sensor="s1"), later_ms)
    assert hub.presence("pi4").heard_ms == later_ms


def test_the_place_of_a_sensor_whose_topic_was_emptied_is_free_again() -> None:
    hub = State(LimitsConfig(sensors=1))
    topic, first = reading(sensor="s0")
    hub.apply(topic, first, NOW_MS)
    before = hub.shape
    (removed,) = hub.remove(topic)
    assert (removed.topic, removed.value) == (str(topic), None)
    assert hub.shape > before
    assert hub.apply(*reading(sensor="s1"), NOW_MS)
    assert hub.remove(topic) == []


def test_an_emptied_status_removes_its_node() -> None:
    hub = State(LimitsConfig(nodes=1))
    for topic, message in ((STATUS, status()), reading(), (OLED, picture()), (LOG, log("line"))):
        hub.apply(topic, message, NOW_MS)
    assert {change.value for change in hub.remove(STATUS)} == {None}
    assert (hub.nodes, hub.snapshot(NOW_MS).entries, hub.logs(None, 9)) == ([], [], [])
    assert hub.picture("pi4") is None
    assert hub.apply(*reading(node="pi5"), NOW_MS)


def test_a_removed_node_keeps_no_other_one_from_being_lost() -> None:
    hub = State()
    for node in ("gone", "pi4"):
        hub.apply(Topic(node, TopicKind.STATUS), status(), NOW_MS)
    hub.remove(Topic("gone", TopicKind.STATUS))
    (change,) = hub.sweep(NOW_MS + 3 * INTERVAL_MS + 1)
    assert (change.node, change.value.presence) == ("pi4", "lost")


def test_a_node_that_is_silent_for_long_leaves_its_places() -> None:
    hub = State(LimitsConfig(silent_days=1.0))
    hub.apply(*reading(), NOW_MS)
    day_ms = 86_400_000
    hub.sweep(NOW_MS + day_ms)
    assert hub.nodes == ["pi4"]
    assert None in {change.value for change in hub.sweep(NOW_MS + day_ms + 1)}
    assert hub.nodes == []


def test_a_node_has_a_bounded_number_of_bytes() -> None:
    refusals = Refusals()
    hub = State(LimitsConfig(live_kb=20), refusals)
    for i in range(10):
        hub.apply(*reading(sensor=f"s{i}", **{f"f{n}": "x" * 200 for n in range(20)}), NOW_MS)
    assert refusals.of("pi4")["live_kb"] == 6
    # Known topics may still change, within what there is room for.
    assert hub.apply(*reading(NOW_MS + 1, 2, sensor="s0"), NOW_MS + 1)


def test_log_lines_beyond_the_quota_of_a_minute_are_refused() -> None:
    refusals = Refusals()
    hub = State(LimitsConfig(log_lines_per_minute=10), refusals)
    for i in range(15):
        hub.apply(LOG, log(str(i)), NOW_MS)
    assert len(hub.logs("pi4", 100)) == 10
    assert refusals.of("pi4") == {"log_lines_per_minute": 5}
    hub.apply(LOG, log("later"), NOW_MS + 60_000)
    assert len(hub.logs("pi4", 100)) == 11


def test_the_hubs_times_move_with_its_clock_when_that_is_set() -> None:
    hub = State()
    hub.apply(STATUS, status(), NOW_MS)
    hub.apply(HEARTBEAT, heartbeat(clock_ms=NOW_MS), NOW_MS)
    hub.apply(*reading(NOW_MS - 500), NOW_MS)
    year_ms = 365 * 86_400_000
    now_ms = NOW_MS + year_ms
    hub.shift(year_ms, now_ms)
    (entry,) = hub.of_kind(TopicKind.READING)
    assert entry.value.at_ms == now_ms - 500
    assert hub.sweep(now_ms) == []
    assert hub.presence("pi4").presence == "online"


def test_a_nodes_log_keeps_the_newest_lines() -> None:
    hub = State()
    for i in range(LOG_LINES_PER_NODE + 5):
        hub.apply(LOG, log(str(i)), NOW_MS)
    lines = [line.value.message for line in hub.logs("pi4", 1000)]
    assert (len(lines), lines[0], lines[-1]) == (LOG_LINES_PER_NODE, "5", "504")
    assert len(hub.snapshot(NOW_MS, 20).logs) == 20


def test_a_nodes_log_is_bounded_in_bytes_not_letters() -> None:
    hub = State(LimitsConfig(log_kb=16))
    for _ in range(20):
        hub.apply(LOG, log("\U0001f600" * 1000), NOW_MS)
    assert len(hub.logs("pi4", 1000)) == 3


def test_logs_of_all_nodes_are_in_the_order_of_time() -> None:
    hub = State()
    hub.apply(LOG, log("late", NOW_MS + 2), NOW_MS)
    hub.apply(Topic("revpi", TopicKind.LOG), log("early", NOW_MS + 1), NOW_MS)
    assert [line.value.message for line in hub.logs(None, 10)] == ["early", "late"]


def test_a_browser_with_every_change_holds_what_a_snapshot_says() -> None:
    hub = State()
    held: dict[str, object] = {}
    steps = [
        (STATUS, status()),
        reading(NOW_MS, 1),
        (HEARTBEAT, heartbeat()),
        (Topic("pi4", TopicKind.LEDS), Leds(["#000000"])),
        reading(NOW_MS + 2000, 2, temperature=23.0),
        (Topic("pi4", TopicKind.PLUGIN, "dht22"), PluginState("running", "", NOW_MS, 0)),
        (Topic("pi4", TopicKind.BUZZER), Buzzer(sounding=True, pattern="beep")),
        (OLED, picture()),
        (SENSOR, description_of("dht22-gpio4")),
        (ABOUT, about()),
        (SENSOR, description_of("dht22-gpio4", "Desk")),
        (STATUS, status("offline")),
    ]
    for i, (topic, message) in enumerate(steps):
        held.update({c.topic: c.value for c in hub.apply(topic, message, NOW_MS + i)})
    held.update({c.topic: c.value for c in hub.sweep(NOW_MS + 99_000)})
    assert held == {entry.topic: entry.value for entry in hub.snapshot(NOW_MS).entries}


def test_the_shape_grows_with_new_topics_and_fields_only() -> None:
    hub = State()
    hub.apply(*reading(NOW_MS, 1), NOW_MS)
    before = hub.shape
    hub.apply(*reading(NOW_MS + 1, 2), NOW_MS)
    assert hub.shape == before
    hub.apply(*reading(NOW_MS + 2, 3, temperature=1.0, humidity=40.0), NOW_MS)
    assert hub.shape == before + 1


def test_a_picture_is_kept_and_its_change_tells_only_that_it_is_another() -> None:
    hub = State()
    assert hub.picture("pi4") is None
    digests = set()
    for shown in (picture(), picture(b"\x01"), picture(on=False)):
        change = hub.apply(OLED, shown, NOW_MS)[-1]
        assert hub.picture("pi4") == shown
        assert len(encode(change.value)) < 100
        assert (change.value.width, change.value.height) == (128, 64)
        digests.add(change.value.digest)
    assert len(digests) == 3
    (entry,) = hub.of_kind(TopicKind.OLED)
    assert entry.value == change.value
    assert node_object(hub, "pi4")["oled"] == change.value


def test_the_same_picture_again_has_the_same_digest() -> None:
    hub = State()
    first, again = (hub.apply(OLED, picture(), NOW_MS)[-1].value for _ in range(2))
    assert first == again


def test_the_default_buzzer_is_that_of_the_first_node_that_has_one() -> None:
    hub = State()
    assert default_buzzer_node(hub) is None
    for node in ("revpi", "pi4"):
        hub.apply(Topic(node, TopicKind.BUZZER), Buzzer(sounding=False, pattern=""), NOW_MS)
    hub.apply(Topic("revpi", TopicKind.BUZZER), Buzzer(sounding=True, pattern="beep"), NOW_MS)
    assert default_buzzer_node(hub) == "revpi"


def test_a_description_is_kept_until_its_topic_is_emptied() -> None:
    hub = State(LimitsConfig(sensors=1))
    described = description_of("dht22-gpio4", "Desk", "Office")
    hub.apply(SENSOR, described, NOW_MS)
    hub.apply(ABOUT, about("Board"), NOW_MS)
    assert hub.description("pi4", "dht22-gpio4") == described
    assert node_object(hub, "pi4")["about"] == about("Board")
    (removed,) = hub.remove(SENSOR)
    assert (removed.topic, removed.value) == (str(SENSOR), None)
    hub.remove(ABOUT)
    assert (hub.description("pi4", "dht22-gpio4"), hub.about("pi4")) == (None, None)
    other = Topic("pi4", TopicKind.SENSOR, "other")
    assert hub.apply(other, described, NOW_MS)


def test_a_name_of_the_history_that_no_topic_can_have_has_no_description() -> None:
    assert State().description("pi4", heartbeats.SENSOR) is None


def test_descriptions_go_with_their_node() -> None:
    hub = State()
    for topic, message in ((SENSOR, description_of("dht22-gpio4")), (ABOUT, about())):
        hub.apply(topic, message, NOW_MS)
    assert {str(SENSOR), str(ABOUT)} <= {change.topic for change in hub.remove(STATUS)}
    assert (hub.description("pi4", "dht22-gpio4"), hub.about("pi4")) == (None, None)


def test_the_shape_grows_with_a_changed_description_and_not_with_a_repeated_one() -> None:
    hub = State()
    first, again, other = (description_of("dht22-gpio4", title) for title in ("", "", "Desk"))
    (change,) = hub.apply(SENSOR, first, NOW_MS)[1:]
    before = hub.shape
    assert hub.apply(SENSOR, again, NOW_MS) == []
    assert hub.shape == before
    (changed,) = hub.apply(SENSOR, other, NOW_MS)
    assert changed.value.digest != change.value.digest
    assert hub.shape == before + 1


def test_descriptions_take_the_places_and_the_bytes_of_their_node() -> None:
    refusals = Refusals()
    hub = State(LimitsConfig(sensors=3, live_kb=8), refusals)
    for i in range(5):
        topic = Topic("pi4", TopicKind.SENSOR, f"s{i}")
        hub.apply(topic, description_of("dht22-gpio4"), NOW_MS)
    assert refusals.of("pi4") == {"sensors": 2}
    large = {f"program-{i}": "x" * 80 for i in range(16)}
    for i in range(8):
        said = About(
            "x" * 80, "", "", "", "", "", large, {f"a{n}": ["y" * 80] * i for n in range(16)}
        )
        hub.apply(ABOUT, said, NOW_MS)
    assert refusals.of("pi4")["live_kb"] > 0


def test_a_sensor_is_as_slow_as_its_description_says() -> None:
    hub = State()
    hub.apply(STATUS, status(), NOW_MS)
    described = msgspec.structs.replace(description_of("dht22-gpio4"), interval_s=60.0)
    hub.apply(SENSOR, described, NOW_MS)
    assert hub.apply(*reading(), NOW_MS)[-1].value.stale_after_ms == 3 * 60_000


def test_an_event_is_a_change_and_no_entry() -> None:
    hub = State(LimitsConfig(events_per_minute=2))
    hub.apply(STATUS, status(), NOW_MS)
    pressed = Event("pressed", {"count": 1}, NOW_MS)
    (change,) = hub.apply(BUTTON, pressed, NOW_MS)
    assert (change.topic, change.kind, change.value) == (str(BUTTON), TopicKind.EVENT, pressed)
    assert hub.of_kind(TopicKind.EVENT) == []
    hub.apply(BUTTON, pressed, NOW_MS)
    assert hub.apply(BUTTON, pressed, NOW_MS) == []
    assert hub.apply(BUTTON, pressed, NOW_MS + 60_000) == [change]
