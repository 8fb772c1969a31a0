"""Queries of the page: one interface for the hub's own history and for that of a fleet."""

import contextlib
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from hub_app.alarms import records
from hub_app.alarms.records import Past, PastQuery
from hub_app.history.coverage.coverage import Coverage
from hub_app.history.coverage.query import coverage_of
from hub_app.history.query import known_names
from hub_app.history.query.gaps import Gaps, gaps_of
from hub_app.history.query.series import ChartQuery, ChartSeries, Series, SeriesQuery, SeriesReader
from hub_app.history.schema import open_for_reading


class HistoryQueries(Protocol):
    """An open history. Raises BadDataError where something is not in it."""

    def series(self, query: SeriesQuery) -> Series: ...

    def chart(self, query: ChartQuery) -> ChartSeries: ...

    def gaps(self, query: ChartQuery, now_ms: int) -> Gaps: ...

    def coverage(self, node: str, times: tuple[int, int], now_ms: int) -> Coverage: ...

    def past_alarms(self, query: PastQuery) -> list[Past]: ...

    def sensors(self) -> set[str]:
        """Return the names of all sensors, as `node:sensor`."""


OpenQueries = Callable[[], AbstractContextManager[HistoryQueries]]


class FileQueries:
    """Queries of the history of this hub. Raises sqlite3.Error."""

    def __init__(self, path: Path, db: sqlite3.Connection) -> None:
        self._path = path
        self._db = db

    def series(self, query: SeriesQuery) -> Series:
        return SeriesReader(self._db).series(query)

    def chart(self, query: ChartQuery) -> ChartSeries:
        return SeriesReader(self._db).chart(query)

    def gaps(self, query: ChartQuery, now_ms: int) -> Gaps:
        times = (query.from_ms, query.to_ms)
        return gaps_of(self._db, query.node, query.sensor, times, now_ms)

    def coverage(self, node: str, times: tuple[int, int], now_ms: int) -> Coverage:
        return coverage_of(self._db, node, *times, now_ms)

    def past_alarms(self, query: PastQuery) -> list[Past]:
        return records.read(self._db, query)

    def sensors(self) -> set[str]:
        return known_names.sensors(self._path)


@contextlib.contextmanager
def open_file(path: Path) -> Iterator[FileQueries]:
    """Open the history at `path`. Raises sqlite3.Error."""
    with contextlib.closing(open_for_reading(path)) as db:
        yield FileQueries(path, db)
