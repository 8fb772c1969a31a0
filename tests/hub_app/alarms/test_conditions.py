"""Conditions of rules in the live state: readings, silence, plugins, outbox, clock, machine."""

from collections.abc import Iterator

from bus.config.alarms_table import AlarmConfig
from bus.contract.description import About, Band, FieldDescription, Fields, SensorDescription
from bus.contract.messages import Alarm, Heartbeat, PluginState, Value
from bus.contract.topics import Topic, TopicKind
from bus.files.backup_record import BackupRecord
from hub_app.alarms.conditions import Conditions, MachineFacts, fault_of, judge
from hub_app.alarms.engine import Observation
from hub_app.alarms.rules import Rule, RuleBook
from hub_app.live.state import State
from tests.hub_app.alarms.samples import NOW_MS, WARM, config
from tests.hub_app.samples import heartbeat, reading, status

NO_FACTS = MachineFacts()
SENSOR = Topic("pi4", TopicKind.SENSOR, "dht22-gpio4")
PLUGIN = Topic("pi4", TopicKind.PLUGIN, "dht22")
TEMPERATURE = {"temperature": FieldDescription(label="Temperature", unit="°C", decimals=1)}


class Hub:
    """A live state, and the conditions in it."""

    def __init__(self, *rules: AlarmConfig) -> None:
        self.state = State()
        self.conditions = Conditions(self.state, RuleBook(rules), "revpi")

    def introduce(self, at_ms: int = NOW_MS) -> None:
        self.state.apply(Topic("pi4", TopicKind.STATUS), status(), at_ms)
        self.state.apply(Topic("pi4", TopicKind.HEARTBEAT), heartbeat(at_ms), at_ms)

    def describe(self, fields: Fields = TEMPERATURE, title: str = "Desk", area: str = "") -> None:
        described = SensorDescription("dht22", title, area, 2.0, fields)
        self.state.apply(SENSOR, described, NOW_MS)

    def read(self, seq: int = 1, at_ms: int = NOW_MS, **data: Value) -> list[Observation]:
        changes = self.state.apply(*reading(at_ms, seq, **data), NOW_MS)
        found = [c for c in changes if c.kind is TopicKind.READING]
        return [seen for change in found for seen in self.conditions.of_reading(change)]

    def sweep(self, kind: str, now_ms: int = NOW_MS, facts: MachineFacts = NO_FACTS) -> list[str]:
        """Return the verdicts on rules of one kind."""
        self.state.sweep(now_ms)
        seen = self._judge_all(now_ms, facts)
        return [one.verdict for one in seen if one.rule.kind == kind]

    def text(self, kind: str, now_ms: int = NOW_MS, facts: MachineFacts = NO_FACTS) -> str:
        seen = self._judge_all(now_ms, facts)
        return next(one.text for one in seen if one.rule.kind == kind)

    def _judge_all(self, now_ms: int, facts: MachineFacts) -> Iterator[Observation]:
        for node in self.state.nodes:
            yield from self.conditions.of_node(node, now_ms)
        yield from self.conditions.of_machine(facts, now_ms)


def of_field(observations: list[Observation]) -> list[tuple[str, str, float | None]]:
    found = [seen for seen in observations if seen.rule.kind == "field"]
    return [(seen.rule.name, seen.verdict, seen.value) for seen in found]


def test_a_value_is_judged_by_limit_and_clearing_value() -> None:
    values = (27.9, 28.0, 28.1, 30.0, 30.1)
    assert [judge(WARM, value, 30.0) for value in values] == [
        *("good", "good", "between", "between", "bad"),
    ]
    cold = Rule("too-cold", "field", "page", below=5.0, clear=6.0)
    assert [judge(cold, value, 5.0) for value in (4.9, 5.0, 5.9, 6.0)] == [
        *("bad", "between", "between", "good"),
    ]
    plain = Rule("too-warm", "field", "page", above=30.0)
    assert [judge(plain, value, 30.0) for value in (30.0, 30.1)] == ["good", "bad"]


def test_a_reading_is_judged_with_its_time_and_said_in_the_words_of_its_description() -> None:
    hub = Hub(config(above=30, clear=28))
    hub.describe()
    (seen,) = [one for one in hub.read(temperature=31.26) if one.rule.kind == "field"]
    assert (seen.verdict, seen.value, seen.limit) == ("bad", 31.26, 30)
    assert seen.text == "Desk: Temperature is above 30.0 °C"
    assert seen.at_ms == NOW_MS
    assert seen.fresh_until_ms == NOW_MS + 6000


def test_a_sensor_without_a_description_is_judged_by_its_ids() -> None:
    (seen,) = [o for o in Hub(config()).read(temperature=31) if o.rule.kind == "field"]
    assert seen.text == "pi4:dht22-gpio4: temperature is above 30"


def test_a_rule_has_words_of_its_own() -> None:
    hub = Hub(config(text="open the window"))
    hub.describe()
    assert hub.read(temperature=31)[0].text == "Desk: open the window"


def test_an_old_reading_is_not_fresh() -> None:
    hub = Hub(config())
    hub.introduce()
    (seen,) = [o for o in hub.read(at_ms=NOW_MS - 7000, temperature=31) if o.rule.kind == "field"]
    assert seen.fresh_until_ms < NOW_MS


def test_only_the_fields_of_a_rule_are_judged_and_only_numbers() -> None:
    hub = Hub(config("any", field="t*", above=1))
    found = of_field(hub.read(temperature=2, text="9", truth=True, humidity=9))
    assert found == [("any", "bad", 2.0), ("any", "good", 1.0)]


def test_the_area_of_a_rule_is_the_sensors_or_else_its_nodes() -> None:
    hub = Hub(config(area="Cellar"))
    about = About("", "Cellar", "", "", "", "", {}, {})
    assert of_field(hub.read(1, temperature=31)) == []
    hub.state.apply(Topic("pi4", TopicKind.ABOUT), about, NOW_MS)
    hub.describe(area="")
    assert of_field(hub.read(2, NOW_MS + 1, temperature=31))
    hub.describe(area="Attic")
    assert of_field(hub.read(3, NOW_MS + 2, temperature=31)) == []


def test_a_limit_by_the_word_of_a_band_is_that_of_the_description() -> None:
    hub = Hub(config(above="room"))
    assert of_field(hub.read(1, temperature=31)) == []
    bands = [Band(18, "cold"), Band(25, "room"), Band(None, "hot")]
    hub.describe({"temperature": FieldDescription(bands=bands)})
    assert of_field(hub.read(2, NOW_MS + 1, temperature=25)) == [("too-warm", "good", 25.0)]
    assert of_field(hub.read(3, NOW_MS + 2, temperature=26)) == [("too-warm", "bad", 26.0)]


def test_a_value_that_is_impossible_or_missing_is_a_fault() -> None:
    fields = {
        "temperature": FieldDescription(label="Temperature", unit="°C", range=(-40, 80)),
        "humidity": FieldDescription(),
        "iaq": FieldDescription(pending="accuracy"),
    }
    assert fault_of({"temperature": 20, "humidity": 40}, fields) == ""
    assert fault_of({"temperature": 99, "humidity": 40}, fields) == (
        "Temperature is impossible: 99 °C"
    )
    assert fault_of({"temperature": 20}, fields) == "humidity was not measured"


def test_a_host_that_does_not_answer_has_no_round_trip_and_that_is_no_fault() -> None:
    fields = {
        "up": FieldDescription(quantity="connectivity"),
        "rtt_ms": FieldDescription(),
    }
    assert fault_of({"up": False}, fields) == ""
    assert fault_of({"up": True}, fields) == "rtt_ms was not measured"


def test_a_sensor_is_stale_after_its_time_while_its_node_is_online() -> None:
    hub = Hub()
    hub.introduce()
    hub.read()
    assert hub.sweep("stale", NOW_MS + 6000) == ["good"]
    hub.introduce(NOW_MS + 6000)
    assert hub.sweep("stale", NOW_MS + 6001) == ["bad"]
    assert hub.text("stale", NOW_MS + 6001) == "pi4:dht22-gpio4: no new readings"
    # Its node is lost, which is an alarm of its own.
    assert hub.sweep("stale", NOW_MS + 60_000) == []


def test_of_a_plugin_that_does_not_run_no_readings_are_expected() -> None:
    hub = Hub()
    hub.introduce()
    hub.describe()
    hub.read()
    hub.state.apply(PLUGIN, PluginState("disabled", "", NOW_MS, 0), NOW_MS)
    hub.introduce(NOW_MS + 8000)
    assert hub.sweep("stale", NOW_MS + 8000) == ["good"]
    hub.state.apply(PLUGIN, PluginState("running", "", NOW_MS, 0), NOW_MS + 8000)
    assert hub.sweep("stale", NOW_MS + 8000) == ["bad"]


def test_a_node_that_is_lost_or_offline_is_told() -> None:
    hub = Hub()
    hub.introduce()
    assert hub.sweep("lost") == ["good"]
    assert hub.sweep("lost", NOW_MS + 7000) == ["bad"]
    assert hub.text("lost", NOW_MS + 7000) == "pi4: the node is lost"
    hub.state.apply(Topic("pi4", TopicKind.STATUS), status("offline"), NOW_MS + 7000)
    assert hub.text("lost", NOW_MS + 7000) == "pi4: the node is offline"


def test_a_plugin_that_failed_is_told_with_the_last_line_of_its_error() -> None:
    hub = Hub()
    hub.introduce()
    error = "Traceback (most recent call last):\n  line 1\nOSError: no chip\n"
    hub.state.apply(PLUGIN, PluginState("failed", "", NOW_MS, 3, error), NOW_MS)
    assert hub.sweep("plugin") == ["bad"]
    assert hub.text("plugin") == "pi4: plugin dht22: failed: OSError: no chip"
    hub.state.apply(PLUGIN, PluginState("running", "", NOW_MS, 4), NOW_MS)
    assert hub.sweep("plugin") == ["good"]


def test_a_full_outbox_and_a_wrong_clock_are_told_by_heartbeats() -> None:
    hub = Hub(AlarmConfig(name="outbox-full", above=1000, clear=900))
    hub.introduce()
    assert (hub.sweep("outbox"), hub.sweep("clock")) == (["good"], ["good"])
    wrong = Heartbeat(2, 1.0, 1.0, 1.0, 1001, 0, NOW_MS + 61_000)
    hub.state.apply(Topic("pi4", TopicKind.HEARTBEAT), wrong, NOW_MS)
    assert (hub.sweep("outbox"), hub.sweep("clock")) == (["bad"], ["bad"])
    assert hub.text("outbox") == "pi4: more than 1000 readings wait for the hub"
    assert hub.text("clock") == "pi4: its clock is wrong by more than 60 s"


def test_the_hubs_disk_and_certificate_are_told_at_its_own_node() -> None:
    hub = Hub()
    good = MachineFacts(disk_percent=50.0, certificate_days=300.0)
    bad = MachineFacts(disk_percent=90.1, certificate_days=13.9)
    assert (hub.sweep("disk", facts=good), hub.sweep("certificate", facts=good)) == (
        *(["good"], ["good"]),
    )
    assert (hub.sweep("disk", facts=bad), hub.sweep("certificate", facts=bad)) == (
        *(["bad"], ["bad"]),
    )
    assert hub.text("disk", facts=bad) == "revpi: the hub's disk is more than 90 % full"
    assert "ends on 2023-11-28" in hub.text("certificate", facts=bad)
    old_ca = MachineFacts(certificate_days=300.0, ca_days=2.0)
    assert "the CA ends on 2023-11-16" in hub.text("certificate", facts=old_ca)
    # What cannot be measured is not judged.
    assert hub.sweep("disk") == hub.sweep("certificate") == []


def test_an_old_nightly_backup_is_told_with_the_reason_of_the_last_failure() -> None:
    hub = Hub()
    young, old = MachineFacts(backup_hours=48.0), MachineFacts(backup_hours=48.1)
    assert (hub.sweep("backup", facts=young), hub.sweep("backup", facts=old)) == (["good"], ["bad"])
    words = "revpi: the last nightly backup is older than 48 h"
    assert hub.text("backup", facts=old).startswith(f"{words}; see `systemctl")
    failed = MachineFacts(backup_hours=60.0, backup=BackupRecord(fault="/a{b}: disk full"))
    assert hub.text("backup", facts=failed) == f"{words}: /a{{b}}: disk full"
    # Where no nightly backups are made.
    assert hub.sweep("backup") == []


def test_an_alarm_in_the_state_proves_nothing_of_its_node() -> None:
    hub = Hub()
    alarm = Alarm("warning", "the disk is full", NOW_MS)
    hub.state.apply(Topic("revpi", TopicKind.ALARM, "disk-full"), alarm, NOW_MS)
    assert hub.state.nodes == []
    assert [entry.value for entry in hub.state.of_kind(TopicKind.ALARM)] == [alarm]
