"""Rules: built-in ones, precedence, patterns, names of alarms."""

import string

from hypothesis import given
from hypothesis import strategies as st

from bus.config.alarms_table import BUILT_IN, AlarmConfig
from bus.contract.description import Band, FieldDescription
from bus.contract.topics import Topic, TopicKind, is_name, parse
from hub_app.alarms.rules import RuleBook, matches
from tests.allowed_messages import NAMES
from tests.hub_app.alarms.samples import WARM, config

# A strategy of the regular expression itself takes more than twice as long.
NAME_PARTS = st.text(string.ascii_lowercase + string.digits, min_size=1, max_size=32)
RULE_NAMES = (
    st.lists(NAME_PARTS, min_size=1, max_size=16)
    .map("-".join)
    .filter(lambda name: len(name) <= 32 and is_name(name))
)
FIELDS = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=64)


def test_the_built_in_rules_are_in_force_by_default() -> None:
    assert {rule.name for rule in RuleBook().every} == {rule.name for rule in BUILT_IN}
    assert all(rule.enabled and rule.source == "built-in" for rule in RuleBook().every)
    assert RuleBook().matching("lost", "pi4")[0].severity == "critical"


def test_a_built_in_rule_can_be_switched_off_or_changed_key_by_key() -> None:
    book = RuleBook(
        [
            AlarmConfig(name="node-lost", enabled=False),
            AlarmConfig(name="disk-full", above=95),
        ]
    )
    assert book.get("node-lost") is None
    assert book.matching("lost", "pi4") == ()
    disk = book.get("disk-full")
    assert disk is not None
    # The clearing value of the built-in limit does not go with another one.
    assert (disk.above, disk.clear, disk.severity, disk.source) == (
        *(95, None, "critical"),
        "hub.toml",
    )


def test_a_rule_of_the_file_holds_before_one_of_the_page() -> None:
    book = RuleBook([config(above=30)], [config(above=20), config("other", above=10)])
    found = {rule.name: rule.above for rule in book.every if rule.kind == "field"}
    assert found == {"too-warm": 30, "other": 10}
    assert book.is_fixed("too-warm")
    assert not book.is_fixed("other")


def test_rules_of_the_page_replace_each_other_while_the_hub_runs() -> None:
    book = RuleBook()
    assert book.matching("field", "pi4", "air") == ()
    book.set_page_rules([config(sensor="air")])
    assert [rule.name for rule in book.matching("field", "pi4", "air")] == ["too-warm"]
    book.set_page_rules([])
    assert book.matching("field", "pi4", "air") == ()


def test_a_rule_is_for_the_nodes_sensors_and_areas_that_its_patterns_match() -> None:
    book = RuleBook([config(node="pi?", sensor="dht22-*", area="ground*")])
    assert book.matching("field", "pi4", "dht22-gpio4", "Ground floor")
    assert not book.matching("field", "pizero", "dht22-gpio4", "Ground floor")
    assert not book.matching("field", "pi4", "bme680-0x76", "Ground floor")
    assert not book.matching("field", "pi4", "dht22-gpio4", "")


def test_patterns_take_upper_and_lower_case_alike() -> None:
    assert matches("K\u00fcche*", "k\u00fcche unten")
    assert not matches("K\u00fcche", "Bad")


def test_a_limit_may_be_the_word_of_a_band() -> None:
    (rule,) = RuleBook([config(above="fair")]).matching("field", "pi4", "air")
    bands = [Band(50, "good"), Band(100, "fair"), Band(None, "bad")]
    assert rule.limit(FieldDescription(bands=bands)) == 100
    assert rule.limit(FieldDescription()) is None
    assert rule.limit(None) is None


def test_an_alarm_is_named_by_rule_and_sensor() -> None:
    assert WARM.alarm_name("dht22-gpio4", "temperature") == "too-warm--dht22-gpio4"
    assert WARM.alarm_name("", "temperature") == "too-warm"


def test_of_a_rule_for_several_fields_each_field_has_an_alarm() -> None:
    (rule,) = RuleBook([config(field="cpu*")]).matching("field", "pi4", "air")
    names = {rule.alarm_name("air", field) for field in ("cpu1", "cpu_1", "CPU 1", "cpu-1")}
    assert "too-warm--air--cpu1" in names
    assert len(names) == 4


@given(RULE_NAMES, NAMES, FIELDS)
def test_every_alarm_has_a_topic(rule: str, sensor: str, field: str) -> None:
    (found,) = RuleBook([config(rule, field="*")]).matching("field", "pi4", sensor)
    topic = Topic("pi4", TopicKind.ALARM, found.alarm_name(sensor, field))
    assert parse(str(topic)) == topic


@given(st.lists(st.tuples(RULE_NAMES, NAMES), unique=True, max_size=20))
def test_no_two_alarms_have_one_name(pairs: list[tuple[str, str]]) -> None:
    names = [
        next(r for r in RuleBook([config(rule)]).every if r.name == rule).alarm_name(sensor, "t")
        for rule, sensor in pairs
    ]
    assert len(set(names)) == len(names)


def test_a_value_is_harmless_up_to_the_least_limit_of_its_kind() -> None:
    one = config("outbox-full", kind="outbox", above=1000, clear=900, field=None)
    other = config("outbox-of-cellar", kind="outbox", node="cellar", above=100, field=None)
    book = RuleBook([one, other])
    assert book.is_harmless("outbox", 100)
    assert not book.is_harmless("outbox", 101)
    below = config("warm", kind="outbox", above=None, below=5, field=None)
    assert not RuleBook([below]).is_harmless("outbox", 100)
