"""Entities of a plugin's settings: numbers, choices, switches and texts of category config. Pure.

A setting of which each sensor may have its own value is one of the plugin and, where the plugin has
several sensors, one of each sensor, too.
"""

from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import msgspec

from bus.contract.description import SettingDescription
from bus.contract.topics import TopicKind
from hub_app.homeassistant import ids, templates
from hub_app.homeassistant.entities.entity import (
    COMMAND,
    SETTING,
    Entity,
    command_topic,
    entity,
    topic,
)
from hub_app.homeassistant.facts import NodeFacts, PluginFacts
from hub_app.homeassistant.site import Site

# Of a number without bounds; Home Assistant's own defaults are 1 and 100.
_MOST = 1_000_000_000.0
# Home Assistant takes none below.
_LEAST_STEP = 0.001

_Keys = dict[str, Any]


class _Target(msgspec.Struct, frozen=True):
    """A setting of a plugin, or of one of its sensors."""

    plugin: str
    key: str
    sensor: str = ""

    @property
    def title(self) -> str:
        return f"{self.plugin} {self.sensor}".rstrip()

    def id_of(self, node: str) -> str:
        if self.sensor:
            return ids.thing_id(node, "sensor-setting", self.plugin, self.sensor, key=self.key)
        return ids.thing_id(node, "setting", self.plugin, key=self.key)

    def command(self, value: str) -> str:
        """Return the template of the command that sets it; `value` is a Jinja expression."""
        sensor = f", 'sensor': {templates.literal(self.sensor)}" if self.sensor else ""
        return (
            f"{{{{ {{'plugin': {templates.literal(self.plugin)}, 'action': 'set'{sensor}, "
            f"'settings': {{{templates.literal(self.key)}: {value}}}}} | tojson }}}}"
        )

    def value(self) -> str:
        """Return statements that set `v` to the value that holds."""
        whole = templates.value_of("settings", self.key)
        if not self.sensor:
            return whole
        own = templates.value_of("sensors", self.sensor, self.key)
        return f"{whole}{{% set w = v %}}{own}{{% set v = w if v is none else v %}}"


def of_settings(site: Site, node: NodeFacts, plugin: PluginFacts) -> Iterator[Entity]:
    """Yield an entity for each setting that Home Assistant can hold."""
    sensors = plugin.state.sensors
    for key, said in plugin.state.described.items():
        own = sorted(sensors) if said.scope == "sensor" and len(sensors) > 1 else []
        for target in (
            _Target(plugin.name, key),
            *(_Target(plugin.name, key, sensor) for sensor in own),
        ):
            made = _BY_TYPE[said.type](said, target)
            if made is not None:
                common = _common(site, node, target)
                name = f"{target.title}: {said.label or key}"
                yield entity(made[0], target.id_of(node.node), name, **made[1], **common)


def _common(site: Site, node: NodeFacts, target: _Target) -> _Keys:
    return {
        "state_topic": topic(node.node, TopicKind.PLUGIN, target.plugin),
        "command_topic": command_topic(node.node, "plugins"),
        **COMMAND,
        **SETTING,
        **site.available(node.node),
    }


def _number(said: SettingDescription, target: _Target) -> tuple[str, _Keys] | None:
    least = -_MOST if said.min is None else said.min
    most = _MOST if said.max is None else said.max
    if least >= most:
        return None
    is_integer = said.type == "integer"
    value = "value | int" if is_integer else "value | float"
    fits = f"{templates.IS_NUMBER} and {least!r} <= v <= {most!r}"
    return "number", {
        "value_template": f"{target.value()}{{{{ v if {fits} else None }}}}",
        "command_template": target.command(value),
        "min": least,
        "max": most,
        "step": 1 if is_integer else _step(said),
        "mode": "box",
        "unit_of_measurement": "%" if said.unit == "%RH" else said.unit or None,
    }


def _step(said: SettingDescription) -> float:
    """Return a step with the decimals that the author uses, one at least."""
    known = [value for value in (said.default, said.min, said.max) if isinstance(value, float)]
    decimals = [-int(Decimal(repr(value)).normalize().as_tuple().exponent) for value in known]
    return max(_LEAST_STEP, 10.0 ** -max(1, *decimals, 1))


def _choice(said: SettingDescription, target: _Target) -> tuple[str, _Keys] | None:
    choices = [choice for choice in dict.fromkeys(said.choices) if _is_state(choice)]
    if not choices:
        return None
    known = templates.literals(choices)
    return "select", {
        "value_template": f"{target.value()}{{{{ v if v in {known} else None }}}}",
        "command_template": target.command("value"),
        "options": choices,
    }


def _switch(_said: SettingDescription, target: _Target) -> tuple[str, _Keys]:
    on_off = "{{ ('ON' if v else 'OFF') if v is boolean else None }}"
    return "switch", {
        "value_template": f"{target.value()}{on_off}",
        "state_on": "ON",
        "state_off": "OFF",
        "payload_on": _switch_payload(target, value=True),
        "payload_off": _switch_payload(target, value=False),
    }


def _switch_payload(target: _Target, *, value: bool) -> str:
    sensor = {"sensor": target.sensor} if target.sensor else {}
    command = {"plugin": target.plugin, "action": "set", **sensor, "settings": {target.key: value}}
    return msgspec.json.encode(command).decode()


def _text(_said: SettingDescription, target: _Target) -> tuple[str, _Keys]:
    cut = f"{{{{ v[:{templates.MAX_STATE_CHARS}] if v is string else '' }}}}"
    return "text", {
        "value_template": f"{target.value()}{cut}",
        "command_template": target.command("value"),
    }


def _is_state(choice: str) -> bool:
    """Whether a choice can be a state: Home Assistant reads some words as nothing."""
    return bool(choice.strip()) and choice.strip() == choice and choice.lower() != "none"


_BY_TYPE: dict[str, Callable[[SettingDescription, _Target], tuple[str, _Keys] | None]] = {
    "number": _number,
    "integer": _number,
    "choice": _choice,
    "switch": _switch,
    "text": _text,
}
