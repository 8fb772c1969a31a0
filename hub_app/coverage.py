"""For every sample that was expected of a node: is it there, and if not, why not.

`GET /api/coverage?node=pi4&from=1795286721000&to=1795373121000` answers a `Coverage` as JSON:

    {"node": "pi4", "from_ms": 1795286721000, "to_ms": 1795373121000,
     "sensors": [{"sensor_id": "pi4:dht22-gpio4", "interval_ms": 2000,
                  "counts": {"there": 43000, "late": 170, "off": 30},
                  "spans": [[1795286721000, 1795300000000, "there", 6639],
                            [1795300000000, 1795300340000, "late", 170],
                            [1795300340000, 1795300400000, "off", 30], ...]}]}

`spans` of a sensor follow one another without gap or overlap from `from_ms` to `to_ms`, times are
Unix milliseconds, and the last number counts samples: those that are there or, of a kind that
stands for missing ones, those that are not. A span that was not expected to hold any (before the
first reading ever, or after now) is `none` with 0.
"""

from typing import Literal

import msgspec

CoverageKind = Literal[
    "there",
    # There, but it came through the backlog: the link or the hub was down when it was taken.
    "late",
    # Not there yet: the node has not been heard since, so it may still hold it.
    "waiting",
    # The node was off.
    "off",
    # The node was on, and the sensor gave no reading.
    "fault",
    # The node was on, and the plugin was loading, had failed or was disabled.
    "plugin",
    # It was taken, and given up by a full outbox.
    "dropped",
    "none",
]
CoverageSpan = tuple[int, int, CoverageKind, int]


class SensorCoverage(msgspec.Struct, frozen=True):
    """One sensor; `interval_ms` is the time between two expected samples."""

    sensor_id: str
    interval_ms: int
    counts: dict[CoverageKind, int]
    spans: list[CoverageSpan]


class Coverage(msgspec.Struct, frozen=True):
    """What `GET /api/coverage` answers."""

    node: str
    from_ms: int
    to_ms: int
    sensors: list[SensorCoverage]
