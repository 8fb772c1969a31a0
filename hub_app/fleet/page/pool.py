"""Connections to the fleet's database for the page: a few, used in turns by its threads."""

import contextlib
import queue
import threading
from collections.abc import Iterator
from typing import Any

from psycopg.types.string import StrDumperUnknown

from bus.config.history_table import FleetConfig
from hub_app.fleet.connection import Connection, Timeouts, connect, errors_translated

_MOST = 4
# Nobody waits longer for a page.
_TIMEOUTS = Timeouts(statement_s=20.0, answer_s=30.0)


class _TextDumper(StrDumperUnknown):
    """Text of a request. PostgreSQL takes no NUL, and no name has the character in its place."""

    def dump(self, obj: str) -> Any:
        return super().dump(obj.replace("\x00", "\ufffd"))


class Pool:
    """At most 4 connections. A thread waits for one that is in use."""

    def __init__(self, settings: FleetConfig) -> None:
        self._settings = settings
        self._idle: queue.SimpleQueue[Connection] = queue.SimpleQueue()
        self._places = threading.Semaphore(_MOST)

    @contextlib.contextmanager
    def connection(self) -> Iterator[Connection]:
        """Lend a connection. Raises FleetUnavailableError, also for what fails within."""
        with self._places:
            db = self._take()
            try:
                with errors_translated(db):
                    yield db
            finally:
                if db.broken or db.closed:
                    db.close()
                else:
                    self._idle.put(db)

    def close(self) -> None:
        """Close the connections that nobody uses."""
        while not self._idle.empty():
            self._idle.get().close()

    def _take(self) -> Connection:
        while not self._idle.empty():
            with contextlib.suppress(queue.Empty):
                db = self._idle.get_nowait()
                if not db.closed:
                    return db
        db = connect(self._settings, "harvester fleet", _TIMEOUTS)
        db.adapters.register_dumper(str, _TextDumper)
        return db
