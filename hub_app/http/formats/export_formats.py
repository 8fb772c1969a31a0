"""Formats of an export of the history, and the export itself as a stream of bytes."""

import contextlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import msgspec

from hub_app.history.query.export import ExportQuery, windows
from hub_app.history.query.lookup import SensorFields
from hub_app.history.schema import open_for_reading
from hub_app.http.formats import influx
from hub_app.http.formats.export_rows import CsvWriter, ExportWriter, JsonWriter, SensorWords
from hub_app.http.formats.influx import InfluxWriter

PARQUET = "application/vnd.apache.parquet"


class ExportFormat(msgspec.Struct, frozen=True):
    """A format: its media type, the ending of the file's name, and its writer."""

    media_type: str
    suffix: str
    writer: Callable[[], ExportWriter]


def _parquet() -> ExportWriter:
    # It loads pyarrow, which takes a while and need not be installed.
    from hub_app.http.formats.parquet import ParquetWriter  # noqa: PLC0415

    return ParquetWriter()


FORMATS = {
    "csv": ExportFormat("text/csv", "csv", CsvWriter),
    "json": ExportFormat("application/json", "json", JsonWriter),
    "influx": ExportFormat(influx.MEDIA_TYPE, "lp", InfluxWriter),
    "parquet": ExportFormat(PARQUET, "parquet", _parquet),
}


def export_chunks(
    path: Path,
    query: ExportQuery,
    sensors: dict[str, SensorFields],
    writer: ExportWriter,
    words: Mapping[str, SensorWords],
) -> Iterator[bytes]:
    """Yield the parts of an export of the history at `path`; one window of it is in memory."""
    yield writer.begin()
    with contextlib.closing(open_for_reading(path)) as db:
        for window in windows(db, sensors, query.from_ms, query.to_ms):
            yield writer.write(window, words[window.sensor])
    yield writer.end()
