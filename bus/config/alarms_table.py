"""The [[alarms]] tables and the [notify] table: rules of alarms, and addresses of notifications."""

from collections.abc import Sequence
from typing import Annotated, Literal

import msgspec

from bus.config.key_types import Table
from bus.contract.bounds import FieldName, Line, Number, Word
from bus.contract.messages import Severity
from bus.contract.topics import is_name
from bus.errors import MisconfiguredError

MAX_RULES = 200
# Separates rule and sensor in the name of an alarm, so no rule has it.
SEPARATOR = "--"

RuleName = Annotated[
    str,
    msgspec.Meta(
        pattern=r"^[a-z0-9]+(-[a-z0-9]+)*\Z",
        max_length=32,
        description="a name of up to 32 of a-z, 0-9 and single hyphens",
    ),
]
# `field`: a value of a sensor's readings; `stale`: a sensor without new readings; `fault`: a sensor
# that measures nothing or the impossible; `lost`: a node that is not online; `plugin`: one that
# failed; `outbox`: readings that wait at a node; `disk`: percent of the hub's disk; `certificate`:
# days that the broker's is still valid; `clock`: seconds by which a node's clock is wrong;
# `backup`: hours since the last nightly backup, where such are made.
RuleKind = Literal[
    "field", "stale", "fault", "lost", "plugin", "outbox", "disk", "certificate", "clock", "backup"
]
# `*` stands for any characters, `?` for one.
Pattern = Annotated[str, msgspec.Meta(min_length=1, max_length=80)]
HoldSeconds = Annotated[float, msgspec.Meta(ge=0, le=604_800)]

# The keys that a kind takes for its limit; `field` takes one of its two.
_LIMITS: dict[str, tuple[str, ...]] = {
    "field": ("above", "below"),
    "outbox": ("above",),
    "disk": ("above",),
    "clock": ("above",),
    "backup": ("above",),
    "certificate": ("below",),
}
# Kinds whose subject is a sensor, or for `plugin` a plugin.
_WITH_SUBJECT = ("field", "stale", "fault", "plugin")


class AlarmConfig(Table, frozen=True):
    """A rule of alarms. Of a built-in rule's name, it changes the keys that it has.

    `above` is a number, or the word of one of the field's bands: all above that band.
    """

    name: RuleName
    kind: RuleKind | None = None
    enabled: bool | None = None
    node: Pattern | None = None
    sensor: Pattern | None = None
    area: Pattern | None = None
    field: FieldName | None = None
    above: Number | Word | None = None
    below: Number | None = None
    # The alarm ends at this value; absent, as soon as the limit is not exceeded.
    clear: Number | None = None
    for_s: HoldSeconds | None = None
    severity: Severity | None = None
    text: Line | None = None


AlarmConfigs = Annotated[list[AlarmConfig], msgspec.Meta(max_length=MAX_RULES)]

BUILT_IN = (
    AlarmConfig(name="sensor-stale", kind="stale", for_s=60.0),
    AlarmConfig(name="sensor-faulty", kind="fault", for_s=60.0),
    AlarmConfig(name="node-lost", kind="lost", for_s=60.0, severity="critical"),
    AlarmConfig(name="plugin-failed", kind="plugin", for_s=60.0),
    # 80 % of a full outbox by default.
    AlarmConfig(name="outbox-full", kind="outbox", above=1_000_000, clear=900_000),
    AlarmConfig(name="disk-full", kind="disk", above=90, clear=88, severity="critical"),
    AlarmConfig(name="certificate-ends", kind="certificate", below=14),
    AlarmConfig(name="clock-wrong", kind="clock", above=60, clear=30, for_s=60.0),
    AlarmConfig(name="backup-old", kind="backup", above=48),
)
_BUILT_IN = {rule.name: rule for rule in BUILT_IN}


class NotifyConfig(Table, frozen=True):
    """Notifications. `addresses_file` holds an address of apprise a line, mode 0600."""

    addresses_file: str = ""
    # Alarms below this severity are not notified.
    severity: Severity = "warning"
    # The page's address, for the link in a notification.
    page_url: Word = ""


def complete(rule: AlarmConfig) -> AlarmConfig:
    """Return a rule with what it does not say of the built-in rule of its name."""
    base = _BUILT_IN.get(rule.name)
    if base is None:
        return rule
    fields = rule.__struct_fields__
    said = {name: getattr(rule, name) for name in fields if getattr(rule, name) is not None}
    if said.keys() & {"above", "below", "clear"} and "clear" not in said:
        # The clearing value belongs to the limit.
        said["clear"] = None
    return msgspec.structs.replace(base, **said)


def check_rules(rules: Sequence[AlarmConfig]) -> None:
    """Raise MisconfiguredError where a rule contradicts itself, or two have one name."""
    places: dict[str, str] = {}
    for i, rule in enumerate(rules):
        key = f"alarms[{i}]"
        if rule.name in places:
            raise MisconfiguredError(
                f"{key}.name: found {rule.name!r}, which {places[rule.name]} has already; expected "
                "another name"
            )
        places[rule.name] = key
        check_rule(rule, f"{key}.")


def check_rule(rule: AlarmConfig, prefix: str = "") -> None:
    """Raise MisconfiguredError where a rule contradicts itself; `prefix` stands before its keys."""
    mistake = _mistake(rule)
    if mistake is not None:
        raise MisconfiguredError(f"{prefix}{mistake}")


def _mistake(rule: AlarmConfig) -> str | None:
    base = _BUILT_IN.get(rule.name)
    if not is_name(rule.name):
        return f"name: found {rule.name!r}, expected a name that no topic reserves"
    if base is not None and rule.kind not in (None, base.kind):
        return f"kind: found {rule.kind!r}, expected {base.kind!r}, as the built-in {rule.name} has"
    whole = complete(rule)
    kind = whole.kind or "field"
    return _mistake_of_subject(whole, kind) or _mistake_of_limit(whole, kind)


def _mistake_of_subject(rule: AlarmConfig, kind: str) -> str | None:
    if kind == "field" and rule.field is None:
        return "field: found nothing, expected the name of a value, for example temperature"
    if kind != "field" and rule.field is not None:
        return f"field: found {rule.field!r}, expected none: a rule of kind {kind!r} has no field"
    if rule.sensor is not None and kind not in _WITH_SUBJECT:
        return (
            f"sensor: found {rule.sensor!r}, expected none: a rule of kind {kind!r} has no sensor"
        )
    return None


def _mistake_of_limit(rule: AlarmConfig, kind: str) -> str | None:
    allowed = _LIMITS.get(kind, ())
    given = [key for key in ("above", "below") if getattr(rule, key) is not None]
    for key in given:
        found = getattr(rule, key)
        if key not in allowed:
            return f"{key}: found {found!r}, expected none: a rule of kind {kind!r} takes no {key}"
        if isinstance(found, str) and kind != "field":
            return f"{key}: found {found!r}, expected a number"
    if len(given) > 1:
        return f"below: found {rule.below!r} beside above, expected one of them"
    if allowed and not given:
        return f"{allowed[0]}: found nothing, expected {' or '.join(allowed)}"
    return _mistake_of_clear(rule)


def _mistake_of_clear(rule: AlarmConfig) -> str | None:
    if rule.clear is None:
        return None
    if isinstance(rule.above, int | float) and rule.clear > rule.above:
        return f"clear: found {rule.clear:g}, expected at most above = {rule.above:g}"
    if rule.below is not None and rule.clear < rule.below:
        return f"clear: found {rule.clear:g}, expected at least below = {rule.below:g}"
    if rule.above is None and rule.below is None:
        return f"clear: found {rule.clear:g}, expected none, as there is no limit"
    return None
