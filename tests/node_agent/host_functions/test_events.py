"""Events of one plugin instance: checks, bounds, owners and trials."""

import json
import logging

import pytest

from bus.contract.messages import Event
from bus.errors import HarvesterError
from node_agent.host_functions.events import MAX_PER_POLL, PluginEvents
from node_agent.plugins.readings import Sample
from node_agent.plugins.sensor_owners import SensorOwners


class Plugin:
    """A plugin's events, and what came out."""

    def __init__(
        self,
        owners: SensorOwners | None = None,
        name: str = "door",
        *,
        is_granted: bool = True,
        is_live: bool = True,
    ) -> None:
        self.sent: list[tuple[str, Event]] = []
        owners = owners or SensorOwners()
        self.events = PluginEvents(
            name,
            is_granted=is_granted,
            claim=lambda sensor_id: owners.claim(name, sensor_id),
            publish=lambda *event: self.sent.append(event),
            is_live=is_live,
        )

    def names(self) -> list[tuple[str, str]]:
        return [(sensor_id, event.name) for sensor_id, event in self.sent]


def test_an_event_has_its_name_its_data_and_a_time(caplog: pytest.LogCaptureFixture) -> None:
    plugin = Plugin()
    with caplog.at_level(logging.INFO):
        plugin.events.publish("bell", "pressed", '{"count": 2, "long": false, "by": "hand"}')
        plugin.events.publish("bell", "released", "{}")
    ((sensor, event), (_, released)) = plugin.sent
    assert (sensor, event.name) == ("bell", "pressed")
    assert event.data == {"count": 2, "long": False, "by": "hand"}
    assert 0 < event.timestamp_ms <= released.timestamp_ms
    assert [(record.name, record.message) for record in caplog.records] == [
        ("plugin.door", 'event bell: pressed {"count":2,"long":false,"by":"hand"}'),
        ("plugin.door", "event bell: released"),
    ]


def test_without_the_grant_the_line_is_named() -> None:
    with pytest.raises(HarvesterError) as refused:
        Plugin(is_granted=False).events.publish("bell", "pressed", "{}")
    assert str(refused.value) == "not granted: add events = true to [plugins.grants.door]"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("Bell", "pressed", "{}"), "sensor_id: found 'Bell', expected up to 64 of a-z, 0-9"),
        (("cmd", "pressed", "{}"), "sensor_id: found 'cmd', expected up to 64 of"),
        (("bell", "", "{}"), "name: found '', expected up to 64 of"),
        (("bell", "x" * 65, "{}"), "name: found 'xxx"),
        (("bell", "pressed", ""), "data: found '', expected a JSON object, {} for none"),
        (("bell", "pressed", "[]"), "data: found '[]', expected a JSON object"),
        (("bell", "pressed", "[" * 4000), "data: found '[[["),
        (("bell", "pressed", '{"a": {}}'), "data: a: found {}, expected "),
        (("bell", "pressed", '{"a": null}'), "data: a: found None, expected "),
        (("bell", "pressed", '{"a": 1e300}'), "data: a: found 1e+300, expected "),
        (("bell", "pressed", json.dumps({"a": "x" * 300})), "data: a: found 'xxx"),
        (("bell", "pressed", " " * 5000), "data: expected at most 4096 bytes"),
        (
            ("bell", "pressed", json.dumps({f"f{n}": n for n in range(65)})),
            "data: found {",
        ),
    ],
)
def test_what_the_bus_would_refuse_is_refused_with_the_place(
    arguments: tuple[str, str, str], said: str
) -> None:
    plugin = Plugin()
    with pytest.raises(HarvesterError) as refused:
        plugin.events.publish(*arguments)
    assert str(refused.value).startswith(f"events.publish: {said}")
    assert plugin.sent == []


def test_one_poll_has_a_limited_number_of_events() -> None:
    plugin = Plugin()
    for _ in range(2):
        plugin.events.begin_poll()
        for _ in range(MAX_PER_POLL):
            plugin.events.publish("bell", "pressed", "{}")
        with pytest.raises(HarvesterError, match="expected at most 10 events a poll"):
            plugin.events.publish("bell", "pressed", "{}")
    assert len(plugin.sent) == 2 * MAX_PER_POLL


def test_a_sensor_of_another_plugin_has_no_events_of_this_one() -> None:
    owners = SensorOwners(["first", "door"])
    owners.admit("first", [Sample("bell", 1, {"a": 1.0})])
    plugin = Plugin(owners)
    with pytest.raises(HarvesterError) as refused:
        plugin.events.publish("bell", "pressed", "{}")
    assert str(refused.value) == (
        "sensor id bell belongs to plugin first: events of plugin door under it are refused"
    )


def test_an_event_makes_a_new_id_the_plugins_own() -> None:
    owners = SensorOwners(["door", "other"])
    Plugin(owners).events.publish("bell", "pressed", "{}")
    admission = owners.admit("other", [Sample("bell", 1, {"a": 1.0})])
    assert admission.samples == []
    assert "belongs to plugin door" in admission.problems[0]


def test_an_early_event_waits_until_plugins_before_this_one_have_polled() -> None:
    owners = SensorOwners(["first", "door"])
    plugin = Plugin(owners)
    plugin.events.publish("bell", "pressed", "{}")
    plugin.events.publish("knocker", "pressed", "{}")
    plugin.events.begin_poll()
    assert plugin.sent == []
    owners.admit("first", [Sample("bell", 1, {"a": 1.0})])
    plugin.events.begin_poll()
    assert plugin.names() == [("knocker", "pressed")]
    plugin.events.begin_poll()
    assert len(plugin.sent) == 1


def test_a_component_on_trial_has_no_events_and_a_replaced_one_none_any_more() -> None:
    plugin = Plugin(is_live=False)
    plugin.events.publish("bell", "on-trial", "{}")
    plugin.events.go_live()
    plugin.events.publish("bell", "live", "{}")
    plugin.events.retire()
    plugin.events.publish("bell", "retired", "{}")
    plugin.events.go_live()
    plugin.events.publish("bell", "retired", "{}")
    assert plugin.names() == [("bell", "live")]
