"""Rows of an export, and their text as CSV and as JSON."""

import csv
import io
from collections.abc import Iterator
from typing import Protocol

import msgspec

from hub_app.history.query.export import SensorWindow
from hub_app.http.formats.csv_table import neutral
from hub_app.http.formats.query_params import iso_8601

_ENCODER = msgspec.json.Encoder()


class ExportRow(msgspec.Struct, frozen=True):
    """A value of a sensor, whose id is `node:sensor`. `time` is ISO 8601 in UTC.

    `resolution_s` is 0 for a single reading; a longer one stands for `count` readings from `time`
    on, with their mean, least and greatest. True is 1.
    """

    time: str
    timestamp_ms: int
    sensor: str
    area: str
    field: str
    unit: str
    value: float
    low: float
    high: float
    count: int
    resolution_s: int


class SensorWords(msgspec.Struct, frozen=True):
    """Area of a sensor, and the unit of each field; empty where nothing is known."""

    area: str
    units: dict[str, str]


class ExportWriter(Protocol):
    """Writes an export in one format. Each method returns what is ready to be sent."""

    def begin(self) -> bytes: ...

    def write(self, window: SensorWindow, words: SensorWords) -> bytes: ...

    def end(self) -> bytes: ...


def rows_of(window: SensorWindow, words: SensorWords) -> Iterator[ExportRow]:
    """Yield a row for each value."""
    resolution_s = window.resolution_ms // 1000
    for at_ms, points in window.rows:
        time = iso_8601(at_ms)
        for field, point in zip(window.fields, points, strict=True):
            if point is not None:
                yield ExportRow(
                    *(time, at_ms, window.sensor, words.area, field, words.units[field]),
                    *(*point[1:], resolution_s),
                )


class CsvWriter:
    """A table with a header; its texts are no formulas in any spreadsheet."""

    def begin(self) -> bytes:
        return self._lines([ExportRow.__struct_fields__])

    def write(self, window: SensorWindow, words: SensorWords) -> bytes:
        return self._lines(map(msgspec.structs.astuple, rows_of(window, words)))

    def end(self) -> bytes:
        return b""

    def _lines(self, rows: Iterator[tuple[object, ...]] | list[tuple[str, ...]]) -> bytes:
        text = io.StringIO()
        csv.writer(text).writerows([neutral(cell) for cell in row] for row in rows)
        return text.getvalue().encode()


class JsonWriter:
    """One list of objects, a line each."""

    def __init__(self) -> None:
        self._separator = b"\n"

    def begin(self) -> bytes:
        return b"["

    def write(self, window: SensorWindow, words: SensorWords) -> bytes:
        lines = [_ENCODER.encode(row) for row in rows_of(window, words)]
        if not lines:
            return b""
        text, self._separator = self._separator + b",\n".join(lines), b",\n"
        return text

    def end(self) -> bytes:
        return b"\n]\n"
