"""Answers of `GET /api/history`, as JSON."""

import msgspec

from bus.contract.messages import Severity
from hub_app.history.coverage.coverage import CoverageKind
from hub_app.history.query.series import Source

# Unix milliseconds, or ISO 8601 with `times=iso`.
At = int | str
# Time, mean, minimum, maximum, count.
PointAnswer = tuple[At, float, float, float, int]


class LimitLine(msgspec.Struct, frozen=True):
    """The limit of an alarm on a field, for a line in a chart."""

    alarm: str
    severity: Severity
    value: float


class FieldHistory(msgspec.Struct, frozen=True):
    """Points of one field, each [time, mean, low, high, count].

    `source` is `readings`, or `means` where these have expired or are too many.
    """

    sensor: str
    field: str
    from_ms: int
    to_ms: int
    source: Source
    points: list[PointAnswer]
    label: str
    unit: str


class ChartField(msgspec.Struct, frozen=True):
    """Points of one field of several, as in `FieldHistory`, and the limits of its alarms."""

    field: str
    label: str
    unit: str
    limits: list[LimitLine]
    points: list[PointAnswer]


class Chart(msgspec.Struct, frozen=True):
    """Points of several fields; each stands for `bucket_ms`. A gap is [from, to, reason].

    With `missing=empty` and nothing stored, only `sensor` and two empty lists are there.
    """

    sensor: str
    series: list[ChartField]
    gaps: list[tuple[At, At, CoverageKind]]
    from_ms: int | msgspec.UnsetType = msgspec.UNSET
    to_ms: int | msgspec.UnsetType = msgspec.UNSET
    source: Source | msgspec.UnsetType = msgspec.UNSET
    bucket_ms: int | msgspec.UnsetType = msgspec.UNSET
    interval_ms: int | msgspec.UnsetType = msgspec.UNSET
    left_out: int | msgspec.UnsetType = msgspec.UNSET
