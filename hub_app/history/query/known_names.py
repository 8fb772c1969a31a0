"""Names of the nodes and sensors in a history file, read beside a hub that may be running."""

import contextlib
import sqlite3
from pathlib import Path

from hub_app.history.schema import open_for_reading

FILE_NAME = "history.db"
_SHOWN = "substr(node.name, 1, 1) != '-'"


def nodes(path: Path) -> set[str]:
    """Return the names of all nodes; none where there is no history yet."""
    return _names(path, f"SELECT name FROM node WHERE {_SHOWN}")  # noqa: S608 - a constant


def sensors(path: Path) -> set[str]:
    """Return the names of all sensors, as `node:sensor`."""
    return _names(
        path,
        "SELECT node.name || ':' || sensor.name FROM sensor JOIN node ON node.id = sensor.node"  # noqa: S608
        f" WHERE {_SHOWN} AND substr(sensor.name, 1, 1) NOT IN ('-', '_')",
    )


def _names(path: Path, query: str) -> set[str]:
    try:
        with contextlib.closing(open_for_reading(path)) as db:
            return {name for (name,) in db.execute(query)}
    except sqlite3.Error:
        return set()
