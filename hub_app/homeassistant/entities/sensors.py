"""Entities of a sensor: its values, its fault, its events and the alarms of its values. Pure."""

import math
from collections.abc import Callable, Iterator
from typing import Any

from bus.contract.description import FieldDescription
from bus.contract.topics import TopicKind
from hub_app.homeassistant import device_classes, ids, templates
from hub_app.homeassistant.device_classes import BINARY_SENSORS
from hub_app.homeassistant.entities.entity import (
    DIAGNOSTIC,
    Entity,
    entity,
    has_own_device,
    sensor_title,
    topic,
)
from hub_app.homeassistant.entities.problems import alarm, problem
from hub_app.homeassistant.facts import NodeFacts, SensorFacts, ValueKind
from hub_app.homeassistant.site import Site
from hub_app.live.presence import MISSED_CYCLES

# Words of false and true.
_FLAG_WORDS = 2


def of_sensor(site: Site, node: NodeFacts, sensor: SensorFacts) -> Iterator[Entity]:
    """Yield every entity of a sensor."""
    for field, said in sensor.described.fields.items():
        yield _value(site, node, sensor, field, said)
    yield _fault(site, node, sensor)
    if sensor.events:
        yield _event(site, node, sensor)
    for facts in sensor.alarms:
        yield alarm(site, node, facts)


def _value(
    site: Site, node: NodeFacts, sensor: SensorFacts, field: str, said: FieldDescription
) -> Entity:
    common: dict[str, Any] = {
        "state_topic": topic(node.node, TopicKind.READING, sensor.id),
        "expire_after": math.ceil(MISSED_CYCLES * sensor.described.interval_s),
        **(DIAGNOSTIC if _is_diagnostic(sensor, field) else {}),
        **site.available(node.node),
    }
    kind = _shown_kind(said, sensor.kinds.get(field) or _expected_kind(said))
    component, config = _BY_KIND[kind](field, said)
    entity_id = ids.field_id(node.node, sensor.id, field)
    return entity(component, entity_id, _name(node, sensor, said.label or field), **config | common)


def _flag(field: str, said: FieldDescription) -> tuple[str, dict[str, Any]]:
    quantity = said.quantity if said.quantity in BINARY_SENSORS else None
    return "binary_sensor", {
        "value_template": templates.flag_of("data", field),
        "device_class": quantity,
    }


def _text(field: str, said: FieldDescription) -> tuple[str, dict[str, Any]]:
    if said.quantity == "enum" and said.words:
        options = list(dict.fromkeys(said.words))
        template = templates.word_of(("data", field), said.words)
        return "sensor", {
            "value_template": template,
            "device_class": "enum",
            "options": [*options, templates.UNKNOWN],
        }
    return "sensor", {"value_template": templates.text_of("data", field)}


def _number(field: str, said: FieldDescription) -> tuple[str, dict[str, Any]]:
    unit = "s" if said.duration and not said.unit else said.unit
    found = device_classes.of_number(said.quantity, unit)
    least, most = said.range or (None, None)
    # An uptime is another one in each cycle, which would fill Home Assistant's database.
    shown = "v // 60 * 60" if said.duration else "v"
    template = templates.number_of(("data", field), least, most, shown)
    if said.pending:
        # Not valid while the field that it waits for is 0.
        waits = templates.value_of("data", said.pending)
        template = f"{waits}{{% set ready = v is none or v != 0 %}}" + template.replace(
            f"if {templates.IS_NUMBER}", f"if ready and {templates.IS_NUMBER}"
        )
    return "sensor", {
        "value_template": template,
        "device_class": found.device_class,
        "unit_of_measurement": found.unit,
        "state_class": found.state_class,
        "suggested_display_precision": said.decimals,
    }


def _fault(site: Site, node: NodeFacts, sensor: SensorFacts) -> Entity:
    return entity(
        "binary_sensor",
        ids.thing_id(node.node, "fault", sensor.id),
        _name(node, sensor, "fault"),
        **problem(site, node.node, "faults", sensor.id),
        **DIAGNOSTIC,
        **site.available(node.node),
    )


def _event(site: Site, node: NodeFacts, sensor: SensorFacts) -> Entity:
    name = templates.value_of("name")
    known = templates.literals(sensor.events)
    # Home Assistant warns of an event type that it does not know.
    template = (
        f"{name}{{% if v in {known} %}}"
        "{{ {'event_type': v, 'data': value_json.data} | tojson }}{% endif %}"
    )
    return entity(
        "event",
        ids.thing_id(node.node, "event", sensor.id),
        _name(node, sensor, "event"),
        state_topic=topic(node.node, TopicKind.EVENT, sensor.id),
        event_types=list(sensor.events),
        value_template=template,
        **site.available(node.node),
    )


def _name(node: NodeFacts, sensor: SensorFacts, label: str) -> str:
    label = label.replace("_", " ")
    return label if has_own_device(node, sensor) else f"{sensor_title(node, sensor)} {label}"


def _shown_kind(said: FieldDescription, kind: ValueKind) -> ValueKind:
    """Return the kind of entity for a value: a plugin can say a state as a number only."""
    if kind != "number":
        return kind
    if said.quantity == "enum" and said.words:
        return "text"
    is_state = bool(said.words) or not device_classes.is_of_numbers(said.quantity)
    is_flag = said.quantity in BINARY_SENSORS and not said.unit and len(said.words) <= _FLAG_WORDS
    return "flag" if is_flag and is_state else kind


def _expected_kind(said: FieldDescription) -> ValueKind:
    """Return the kind of a value that never came, by its description."""
    if said.quantity in BINARY_SENSORS and not device_classes.is_of_numbers(said.quantity):
        return "flag"
    hints = (said.unit, said.quantity, said.decimals, said.range, said.bands, said.bar)
    is_number = said.quantity != "enum" and any(hint not in ("", None, []) for hint in hints)
    return "number" if is_number else "text"


def _is_diagnostic(sensor: SensorFacts, field: str) -> bool:
    """Whether a value is of the machine and its network, or says how good another one is."""
    fields = sensor.described.fields.values()
    is_of_machine = not sensor.described.plugin or any(said.duration for said in fields)
    return is_of_machine or any(said.pending == field for said in fields)


_BY_KIND: dict[ValueKind, Callable[[str, FieldDescription], tuple[str, dict[str, Any]]]] = {
    "flag": _flag,
    "number": _number,
    "text": _text,
}
