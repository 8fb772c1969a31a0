"""Parquet file of an export, written piece by piece. It needs the extra `parquet`."""

import io
from collections.abc import Sequence
from typing import Any

import msgspec
import pyarrow as pa
from pyarrow import parquet

from hub_app.history.query.export import SensorWindow
from hub_app.http.formats.export_rows import ExportRow, SensorWords, rows_of

MEDIA_TYPE = "application/vnd.apache.parquet"

# Rows that are compressed together, a few MB in memory.
_ROWS_PER_GROUP = 50_000
_COLUMNS: dict[type, Any] = {str: pa.string(), int: pa.int64(), float: pa.float64()}


class ParquetWriter:
    """Columns of `ExportRow`; `time` is a timestamp in UTC."""

    def __init__(self) -> None:
        columns = {field.name: _COLUMNS[field.type] for field in msgspec.structs.fields(ExportRow)}
        columns["time"] = pa.timestamp("ms", tz="UTC")
        self._schema = pa.schema(list(columns.items()))
        self._file = _Buffer()
        self._writer = parquet.ParquetWriter(self._file, self._schema)
        self._rows: list[ExportRow] = []

    def begin(self) -> bytes:
        return self._file.taken()

    def write(self, window: SensorWindow, words: SensorWords) -> bytes:
        for row in rows_of(window, words):
            self._rows.append(row)
            if len(self._rows) == _ROWS_PER_GROUP:
                self._write_group()
        return self._file.taken()

    def end(self) -> bytes:
        if self._rows:
            self._write_group()
        self._writer.close()
        return self._file.taken()

    def _write_group(self) -> None:
        columns = dict(zip(self._schema.names, _transposed(self._rows), strict=True))
        columns["time"] = columns["timestamp_ms"]
        self._writer.write_table(pa.table(columns, schema=self._schema))
        self._rows.clear()


def _transposed(rows: Sequence[ExportRow]) -> list[list[Any]]:
    return [list(column) for column in zip(*map(msgspec.structs.astuple, rows), strict=True)]


class _Buffer(io.RawIOBase):
    """A file that is only written, and whose content is taken away meanwhile."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._length = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any, /) -> int:
        part = bytes(data)
        self._parts.append(part)
        self._length += len(part)
        return len(part)

    def tell(self) -> int:
        return self._length

    def taken(self) -> bytes:
        content = b"".join(self._parts)
        self._parts.clear()
        return content
