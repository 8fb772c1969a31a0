"""Parsers of actuator commands: bare words or JSON, one type for each actuator.

Raises BadCommandError with a sentence that says what was found and what is allowed.
"""

from typing import Annotated, Literal, TypeVar, get_args

import msgspec

from bus.contract.bounds import FieldName, Name, Word
from bus.contract.description import MAX_SETTINGS, SettingValue
from bus.contract.messages import FanMode
from bus.contract.mistake import first_mistake
from bus.errors import BadCommandError

T = TypeVar("T")
PluginAction = Literal["reload", "enable", "disable", "set", "record"]
CommandId = Annotated[str, msgspec.Meta(max_length=64)]
AnyColor = Annotated[
    str, msgspec.Meta(pattern=r"^#[0-9a-fA-F]{6}\Z", description='a colour like "#ff8800"')
]
# Deeply nested brackets cause a RecursionError.
_NOT_JSON = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class Pattern(msgspec.Struct, frozen=True):
    """`count` beeps of `duration_ms`, `interval_ms` apart; no beeps at all is silence."""

    count: int
    duration_ms: int
    interval_ms: int


# One beep is long enough to be heard through a door and short enough not to annoy.
PATTERNS = {
    "beep": Pattern(1, 100, 0),
    "beep3": Pattern(3, 100, 100),
    "long": Pattern(1, 1000, 0),
    "off": Pattern(0, 0, 0),
}


FAN_MODES: dict[str, FanMode] = {mode: mode for mode in get_args(FanMode)}


class BuzzerCommand(msgspec.Struct, frozen=True):
    """Sound a pattern; `name` is how the buzzer's state names it."""

    pattern: Pattern
    name: str
    id: str | None = None


class LedsCommand(msgspec.Struct, frozen=True):
    """Colour one LED, or all of them where `index` is None."""

    index: int | None
    color: str
    id: str | None = None


class FanCommand(msgspec.Struct, frozen=True):
    mode: FanMode
    id: str | None = None


class PluginCommand(msgspec.Struct, frozen=True):
    """Change the state of a plugin, or set `settings` of it, or of one of its sensors.

    None brings the configuration's value back.
    """

    plugin: str
    action: PluginAction
    settings: dict[str, SettingValue | None] = {}
    sensor: str | None = None
    id: str | None = None


class NamesCommand(msgspec.Struct, frozen=True):
    """Name a sensor, or the node where `sensor` is None; a part that is None stays as it is."""

    sensor: str | None
    title: str | None
    area: str | None
    id: str | None = None


class UpdateCommand(msgspec.Struct, frozen=True):
    """Look for another version at the hub, and change to it."""

    id: str | None = None


class _NamedPattern(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    pattern: Literal["beep", "beep3", "long", "off"]
    id: CommandId | None = None


class _FreePattern(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    count: Annotated[int, msgspec.Meta(ge=1, le=20)]
    duration_ms: Annotated[int, msgspec.Meta(ge=10, le=10_000)]
    interval_ms: Annotated[int, msgspec.Meta(ge=0, le=10_000)] = 100
    id: CommandId | None = None


class _OneLed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    index: Annotated[int, msgspec.Meta(ge=0)]
    color: AnyColor
    id: CommandId | None = None


class _AllLeds(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    all: AnyColor
    id: CommandId | None = None


class _FanMode(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    mode: FanMode
    id: CommandId | None = None


class _PluginAction(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    plugin: str
    action: PluginAction
    settings: Annotated[
        dict[FieldName, SettingValue | None], msgspec.Meta(max_length=MAX_SETTINGS)
    ] = {}
    sensor: Name | None = None
    id: CommandId | None = None


class _Names(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    sensor: Name | None = None
    title: Word | None = None
    area: Word | None = None
    id: CommandId | None = None


class _Update(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    action: Literal["look"]
    id: CommandId | None = None


BUZZER_USAGE = 'beep, beep3, long, off, {"pattern": "beep3"} or {"count": 3, "duration_ms": 100}'
LEDS_USAGE = 'off, {"index": 5, "color": "#ff8800"} or {"all": "#000000"}'
FAN_USAGE = 'on, off, auto or {"mode": "on"}'
NAMES_USAGE = (
    '{"sensor": "dht22-gpio4", "title": "Desk", "area": "Office"}, without sensor: the node'
)
PLUGINS_USAGE = (
    '{"plugin": "dht22", "action": "reload"}, or enable, or disable, or record, or '
    '{"plugin": "dht22", "action": "set", "settings": {"high_c": 28.0}}, with '
    '"sensor": "dht22-gpio4" for one of its sensors'
)
UPDATE_USAGE = 'look or {"action": "look"}'

# The words, and the keys of the JSON, that each actuator takes.
WORDS: dict[str, list[str]] = {
    "buzzer": [*PATTERNS, "pattern", "count", "duration_ms", "interval_ms"],
    "fan": [*FAN_MODES, "mode"],
    "leds": ["off", "index", "color", "all"],
    "names": ["sensor", "title", "area"],
    "plugins": [*get_args(PluginAction), "plugin", "action", "settings", "sensor"],
    "update": ["look", "action"],
}


def parse_buzzer(payload: bytes) -> BuzzerCommand:
    word = _bare_word(payload)
    if word in PATTERNS:
        return BuzzerCommand(PATTERNS[word], word)
    fields = _json_object(payload, BUZZER_USAGE)
    if "pattern" in fields:
        named = _convert(fields, _NamedPattern, BUZZER_USAGE)
        return BuzzerCommand(PATTERNS[named.pattern], named.pattern, named.id)
    free = _convert(fields, _FreePattern, BUZZER_USAGE)
    return BuzzerCommand(
        Pattern(free.count, free.duration_ms, free.interval_ms), f"beep x{free.count}", free.id
    )


def parse_leds(payload: bytes) -> LedsCommand:
    if _bare_word(payload) == "off":
        return LedsCommand(None, "#000000")
    fields = _json_object(payload, LEDS_USAGE)
    if "all" in fields:
        every = _convert(fields, _AllLeds, LEDS_USAGE)
        return LedsCommand(None, every.all.lower(), every.id)
    one = _convert(fields, _OneLed, LEDS_USAGE)
    return LedsCommand(one.index, one.color.lower(), one.id)


def parse_fan(payload: bytes) -> FanCommand:
    word = _bare_word(payload)
    if word in FAN_MODES:
        return FanCommand(FAN_MODES[word])
    wanted = _convert(_json_object(payload, FAN_USAGE), _FanMode, FAN_USAGE)
    return FanCommand(wanted.mode, wanted.id)


def parse_names(payload: bytes) -> NamesCommand:
    wanted = _convert(_json_object(payload, NAMES_USAGE), _Names, NAMES_USAGE)
    if wanted.title is None and wanted.area is None:
        raise BadCommandError(f"found no title and no area; a command is {NAMES_USAGE}")
    return NamesCommand(wanted.sensor, wanted.title, wanted.area, wanted.id)


def parse_plugin(payload: bytes) -> PluginCommand:
    wanted = _convert(_json_object(payload, PLUGINS_USAGE), _PluginAction, PLUGINS_USAGE)
    if bool(wanted.settings) != (wanted.action == "set"):
        found = "no settings" if wanted.action == "set" else f"settings with {wanted.action!r}"
        raise BadCommandError(f"found {found}; a command is {PLUGINS_USAGE}")
    if wanted.sensor is not None and wanted.action != "set":
        raise BadCommandError(
            f"sensor: found one with {wanted.action!r}, expected one with 'set' only; "
            f"a command is {PLUGINS_USAGE}"
        )
    return PluginCommand(wanted.plugin, wanted.action, wanted.settings, wanted.sensor, wanted.id)


def parse_update(payload: bytes) -> UpdateCommand:
    if _bare_word(payload) == "look":
        return UpdateCommand()
    return UpdateCommand(_convert(_json_object(payload, UPDATE_USAGE), _Update, UPDATE_USAGE).id)


def command_id(payload: bytes) -> str | None:
    """Return the id that a command carries, even one that is otherwise wrong, else None."""
    try:
        fields = msgspec.json.decode(payload)
    except _NOT_JSON:
        return None
    found = fields.get("id") if isinstance(fields, dict) else None
    return found[:64] if isinstance(found, str) else None


def _bare_word(payload: bytes) -> str:
    """Return the payload as a word, or nothing where it is no word. `"beep"` counts as one too."""
    text = payload.decode(errors="replace").strip().strip('"') if len(payload) <= 64 else ""
    return text if text.isalnum() else ""


def _json_object(payload: bytes, usage: str) -> dict[str, object]:
    try:
        fields = msgspec.json.decode(payload)
    except _NOT_JSON as e:
        # That a table ends early or holds NaN is not seen at first sight.
        is_table = payload.startswith(b"{") and isinstance(e, msgspec.DecodeError)
        why = f" ({e})" if is_table else ""
        raise BadCommandError(f"found {_shown(payload)}{why}, expected {usage}") from e
    if not isinstance(fields, dict):
        raise BadCommandError(f"found {_shown(payload)}, expected {usage}")
    return fields


def _convert(fields: dict[str, object], command_type: type[T], usage: str) -> T:
    try:
        return msgspec.convert(fields, command_type)
    except msgspec.ValidationError as e:
        mistake = first_mistake(fields, command_type) or "found no command of that kind"
        raise BadCommandError(f"{mistake}; a command is {usage}") from e


def _shown(payload: bytes) -> str:
    return repr(payload[:80].decode(errors="replace"))
