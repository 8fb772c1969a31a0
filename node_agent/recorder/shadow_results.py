"""Results of a shadow run: its values beside those of the running version, and its calls."""

import threading
from collections.abc import Iterable, Mapping
from typing import Any

from bus.clock import now_ms
from bus.contract.bounds import MAX_ERROR_CHARS
from bus.contract.messages import ShadowReport
from node_agent.recorder.answers import EFFECTS
from node_agent.recorder.costs import CostMeter
from node_agent.recorder.events import Call, Failed, Outcome
from node_agent.recorder.shadow_calls import MAX_LINE_CHARS, EffectLog, line_of

# In a report: values, and the newest lines of effects and of calls without an answer.
_MAX_VALUES = 64
_MAX_LINES = 10


class ShadowResults:
    """Results since the run began, over all instances. Any thread may call."""

    def __init__(self, costs: CostMeter, error: str) -> None:
        self._costs = costs
        self._order = threading.Lock()
        self._since_ms = now_ms()
        self._sha256 = self._version = ""
        self._error = error
        self._differing = self._effects = self._unanswered = 0
        self._effect_lines: list[str] = []
        self._unanswered_lines: list[str] = []
        self._values: dict[str, tuple[Any, Any]] = {}

    def loaded(self, sha256: str, version: str) -> None:
        """Note the version that runs in the shadow."""
        with self._order:
            self._sha256, self._version = sha256, version

    def failed(self, error: str) -> None:
        """Note why the run has no instance."""
        with self._order:
            self._error = error

    def compare(self, running: Outcome | None, shadow: Outcome) -> None:
        """Note what the same poll came to in both versions."""
        theirs, ours = values_of(running), values_of(shadow)
        names = [*theirs, *(name for name in ours if name not in theirs)]
        with self._order:
            self._error = str(ours.get("err", ""))
            self._values = {name: (theirs.get(name), ours.get(name)) for name in names}
            self._differing += any(old != new for old, new in self._values.values())

    def note_calls(self, unanswered: Iterable[Call], effects: EffectLog) -> None:
        """Note the calls of a poll that had no answer, and those with an effect."""
        missing = [call for call in unanswered if call.interface not in EFFECTS]
        with self._order:
            self._effects += len(effects.lines)
            self._effect_lines = [*self._effect_lines, *effects.lines][-_MAX_LINES:]
            self._unanswered += len(missing)
            lines = [line_of(call.interface, call.function, call.arguments) for call in missing]
            self._unanswered_lines = [*self._unanswered_lines, *lines][-_MAX_LINES:]
        effects.lines.clear()

    def report(self) -> ShadowReport:
        """Return what to tell."""
        cost = self._costs.cost()
        with self._order:
            return ShadowReport(
                sha256=self._sha256,
                version=self._version,
                since_ms=self._since_ms,
                polls=cost.polls,
                failures=cost.failures,
                differing=self._differing,
                error=self._error[:MAX_ERROR_CHARS],
                values=dict(list(self._values.items())[:_MAX_VALUES]),
                p50_ms=cost.p50_ms,
                p99_ms=cost.p99_ms,
                effects=self._effects,
                newest_effects=self._effect_lines[-_MAX_LINES:],
                unanswered=self._unanswered,
                newest_unanswered=self._unanswered_lines[-_MAX_LINES:],
            )


def values_of(outcome: Outcome | None) -> Mapping[str, Any]:
    """Return the values of a poll by sensor and field; `fault` or `err` where it has none."""
    if isinstance(outcome, Failed):
        return {"fault": outcome.message[:MAX_LINE_CHARS]}
    value = outcome.value if outcome is not None else None
    if isinstance(value, str):
        return {"err": value[:MAX_LINE_CHARS]}
    records = value if isinstance(value, list) else [value] if value is not None else []
    found: dict[str, Any] = {}
    for record in records:
        sensor = record.get("sensor-id", "")
        fields = {**record, **dict(record.get("values", []))}
        for name, field in fields.items():
            if name not in ("sensor-id", "timestamp-ms", "values"):
                found[f"{sensor} {name.replace('-', '_')}".strip()] = _sendable(field)
    return found


def _sendable(value: Any) -> Any:
    """Return a value as a message can hold it: NaN was not measured."""
    if isinstance(value, float) and value - value != 0:
        return None
    return value[:MAX_LINE_CHARS] if isinstance(value, str) else value
