r"""InfluxDB line protocol of an export, one line for each time of a sensor.

    harvester,area=Living\ room,node=pi4,sensor=dht22-gpio4 humidity=44.0,temperature=21.4 1795...
    harvester_5m,node=pi4,sensor=dht22-gpio4 temperature=21.3,temperature_low=21.2,... 1795...

Readings are in the measurement `harvester`, means of 5 minutes in `harvester_5m`. Timestamps are in
nanoseconds. Source: InfluxData, "Line protocol reference".
"""

import re
from collections.abc import Iterator

from hub_app.history.query.export import SensorWindow
from hub_app.history.query.points import Point
from hub_app.http.formats.export_rows import SensorWords

MEDIA_TYPE = "text/plain; charset=utf-8"

_MEASUREMENT = "harvester"
_NS_PER_MS = 1_000_000
_MS_PER_MINUTE = 60_000
# Of tag values and field keys.
_ESCAPES = str.maketrans({",": r"\,", "=": r"\=", " ": r"\ "})
# The protocol cannot write these: InfluxDB takes them for escapes, or refuses the line.
_UNWRITABLE = re.compile(r'\\+(?=[,= "]|\Z)')


class InfluxWriter:
    """Lines of the line protocol."""

    def begin(self) -> bytes:
        return b""

    def write(self, window: SensorWindow, words: SensorWords) -> bytes:
        series = _series(window, words)
        keys = [escaped(field) for field in window.fields]
        return "".join(
            f"{series} {','.join(_fields(window, keys, points))} {at_ms * _NS_PER_MS}\n"
            for at_ms, points in window.rows
        ).encode()

    def end(self) -> bytes:
        return b""


def escaped(text: str) -> str:
    """Return a tag value or field key as it stands in a line, without what it cannot say."""
    return _UNWRITABLE.sub("", text).translate(_ESCAPES)


def _series(window: SensorWindow, words: SensorWords) -> str:
    """Return measurement and tags; an empty tag is not allowed."""
    node, _, sensor = window.sensor.partition(":")
    minutes = window.resolution_ms // _MS_PER_MINUTE
    measurement = f"{_MEASUREMENT}_{minutes}m" if minutes else _MEASUREMENT
    tags = {"area": escaped(words.area), "node": escaped(node), "sensor": escaped(sensor)}
    return ",".join([measurement, *(f"{key}={text}" for key, text in tags.items() if text)])


def _fields(window: SensorWindow, keys: list[str], points: list[Point | None]) -> Iterator[str]:
    for key, point in zip(keys, points, strict=True):
        if point is None or not key:
            continue
        _, value, low, high, count = point
        yield f"{key}={value!r}"
        if window.resolution_ms:
            yield f"{key}_low={low!r},{key}_high={high!r},{key}_count={count}i"
