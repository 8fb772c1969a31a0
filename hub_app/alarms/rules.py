"""Rules of alarms as they are in force: built-in ones, those made on the page, those of hub.toml.

Of several with one name, hub.toml's rule holds, then the page's. Pure.
"""

import fnmatch
import hashlib
import math
import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Literal

import msgspec

from bus.config.alarms_table import BUILT_IN, SEPARATOR, AlarmConfig, RuleKind, complete
from bus.contract.description import FieldDescription
from bus.contract.messages import Severity

Source = Literal["built-in", "hub.toml", "page"]

_MAX_NAME = 64
_HASH_CHARS = 8
_WILD = frozenset("*?[")
# Sensors whose rules are cached.
_MAX_CACHED = 100_000


class Rule(msgspec.Struct, frozen=True):
    """A rule with a value for every key; `sensor` is a pattern of plugins for kind `plugin`."""

    name: str
    kind: RuleKind
    source: Source
    enabled: bool = True
    node: str = "*"
    sensor: str = "*"
    area: str = "*"
    field: str = ""
    above: float | str | None = None
    below: float | None = None
    clear: float | None = None
    for_s: float = 0.0
    severity: Severity = "warning"
    text: str = ""

    @property
    def for_ms(self) -> int:
        return round(self.for_s * 1000)

    @property
    def has_one_field(self) -> bool:
        """Whether `field` is a name and no pattern."""
        return _WILD.isdisjoint(self.field)

    def covers(self, node: str, subject: str) -> bool:
        """Whether node, and sensor or plugin, match the patterns; the area is not asked."""
        return matches(self.node, node) and matches(self.sensor, subject)

    def covers_field(self, field: str) -> bool:
        return field == self.field or (not self.has_one_field and matches(self.field, field))

    def limit(self, described: FieldDescription | None) -> float | None:
        """Return the limit as a number; None where the field has no band of that word."""
        if not isinstance(self.above, str):
            return self.below if self.above is None else self.above
        bands = described.bands if described else []
        return next((band.limit for band in bands if band.word == self.above), None)

    def alarm_name(self, subject: str, field: str) -> str:
        """Return the name of an alarm: rule, subject, and the field where `field` is a pattern."""
        return _alarm_name(self.name, subject, "" if self.has_one_field else field)


class RuleBook:
    """All rules by name, and those that apply to a node, a sensor or a plugin."""

    def __init__(
        self, fixed: Sequence[AlarmConfig] = (), from_page: Sequence[AlarmConfig] = ()
    ) -> None:
        self._fixed = tuple(fixed)
        # Counts the changes of the rules.
        self.version = 0
        self.set_page_rules(from_page)

    def set_page_rules(self, rules: Iterable[AlarmConfig]) -> None:
        """Replace the rules that were made on the page."""
        self.page_rules = tuple(rules)
        found = {config.name: _rule(config, "built-in") for config in BUILT_IN}
        found |= {config.name: _rule(config, "page") for config in self.page_rules}
        found |= {config.name: _rule(config, "hub.toml") for config in self._fixed}
        self.every: list[Rule] = list(found.values())
        self._in_force = {rule.name: rule for rule in self.every if rule.enabled}
        self.version += 1
        self._of_kind: dict[RuleKind, tuple[Rule, ...]] = {}
        for rule in self._in_force.values():
            self._of_kind[rule.kind] = (*self._of_kind.get(rule.kind, ()), rule)
        # Kinds whose rules all apply to everything.
        self._general = {
            kind
            for kind, rules in self._of_kind.items()
            if all((rule.node, rule.sensor, rule.area) == ("*", "*", "*") for rule in rules)
        }
        self._found: dict[tuple[RuleKind, str, str, str], tuple[Rule, ...]] = {}
        self._harmless = {kind: min(map(_harmless, rules)) for kind, rules in self._of_kind.items()}

    def is_fixed(self, name: str) -> bool:
        """Whether hub.toml has a rule of that name, which the page cannot change."""
        return any(config.name == name for config in self._fixed)

    def get(self, name: str) -> Rule | None:
        """Return a rule that is in force."""
        return self._in_force.get(name)

    def has_any(self, kind: RuleKind) -> bool:
        """Whether there is a rule of a kind in force."""
        return kind in self._of_kind

    def is_harmless(self, kind: RuleKind, value: float) -> bool:
        """Whether a value is bad for no rule of a kind, whatever it is of."""
        return value <= self._harmless.get(kind, math.inf)

    def matching(
        self, kind: RuleKind, node: str, subject: str = "", area: str = ""
    ) -> tuple[Rule, ...]:
        """Return the rules of a kind that apply to a node, or to a sensor or plugin of it."""
        rules = self._of_kind.get(kind, ())
        if not rules or kind in self._general:
            return rules
        key = (kind, node, subject, area)
        found = self._found.get(key)
        if found is None:
            if len(self._found) >= _MAX_CACHED:
                self._found.clear()
            found = self._found[key] = tuple(
                rule for rule in rules if rule.covers(node, subject) and matches(rule.area, area)
            )
        return found


def _harmless(rule: Rule) -> float:
    """Return the greatest value that is bad for no subject of a rule."""
    return -math.inf if rule.below is not None else rule.limit(None) or 0.0


@lru_cache(maxsize=1000)
def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(fnmatch.translate(text.casefold()))


def matches(pattern: str, text: str) -> bool:
    """Whether a pattern of `*` and `?` matches a name, upper and lower case alike."""
    return pattern == "*" or _pattern(pattern).match(text.casefold()) is not None


def _rule(config: AlarmConfig, source: Source) -> Rule:
    said = msgspec.structs.asdict(complete(config))
    given = {key: value for key, value in said.items() if value is not None}
    return Rule(**{"kind": "field", **given, "source": source})


@lru_cache(maxsize=20_000)
def _alarm_name(rule: str, subject: str, field: str) -> str:
    """Return a name that a topic can hold; one that is too long ends with a hash instead."""
    slug = re.sub(r"[^a-z0-9]+", "-", field.lower()).strip("-")
    name = SEPARATOR.join(part for part in (rule, subject, slug) if part)
    if len(name) <= _MAX_NAME and slug == field:
        return name
    digest = hashlib.sha256(f"{rule}/{subject}/{field}".encode()).hexdigest()[:_HASH_CHARS]
    return f"{name[: _MAX_NAME - _HASH_CHARS - 1].rstrip('-')}-{digest}"
