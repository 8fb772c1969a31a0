"""Rules and observations of alarms for tests."""

from typing import Any

import msgspec

from bus.config.alarms_table import AlarmConfig
from hub_app.alarms.conditions import judge
from hub_app.alarms.engine import Active, Engine, Observation, Transition
from hub_app.alarms.rules import Rule

NOW_MS = 1_700_000_000_000
FRESH_MS = 10_000
WARM = Rule("too-warm", "field", "page", field="temperature", above=30.0, clear=28.0, for_s=5.0)


def config(name: str = "too-warm", **keys: Any) -> AlarmConfig:
    return AlarmConfig(name=name, **({"field": "temperature", "above": 30} | keys))


def seen(
    value: float, at_ms: int = NOW_MS, *, rule: Rule = WARM, node: str = "pi4", subject: str = "air"
) -> Observation:
    limit = rule.limit(None)
    assert limit is not None
    return Observation(
        rule=rule,
        node=node,
        subject=subject,
        field="temperature",
        verdict=judge(rule, value, limit),
        at_ms=at_ms,
        fresh_until_ms=at_ms + FRESH_MS,
        value=value,
        limit=limit,
        text="It is too warm",
    )


def at_once(rule: Rule = WARM) -> Rule:
    return msgspec.structs.replace(rule, for_s=0.0)


def begun(engine: Engine, *, at_ms: int = NOW_MS, **place: str) -> Active:
    """Begin an alarm of the rule `WARM`, without its duration."""
    transition = engine.observe(seen(35.0, at_ms, rule=at_once(), **place), at_ms)
    assert transition is not None
    assert transition.change == "begun"
    return transition.alarm


def changes(transitions: list[Transition]) -> list[str]:
    return [transition.change for transition in transitions]
