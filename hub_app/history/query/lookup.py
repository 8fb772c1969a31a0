"""Look-up of a sensor and its fields in the history; errors name those that exist."""

import sqlite3

import msgspec

from bus.errors import BadDataError
from hub_app.history.schema import fields_of

# Names in an error message.
_MOST_NAMES = 100

# The position of each field in the readings of a shape, None in one that lacks the field.
Places = dict[int, list[int | None]]


class UnknownSensorError(BadDataError):
    """A sensor or field that is not in the history."""


class SensorFields(msgspec.Struct, frozen=True):
    """A sensor's id, fields, and their positions in each shape of its readings."""

    sensor: int
    fields: list[str]
    places: Places


def look_up(db: sqlite3.Connection, node: str, sensor: str, fields: list[str]) -> SensorFields:
    """Return a sensor with some of its fields, without `fields` all of them.

    Raises UnknownSensorError, which names the sensors or fields that exist.
    """
    number = sensor_id(db, node, sensor)
    shapes = {
        shape: fields_of(text)
        for shape, text in db.execute(
            "SELECT shape.id, fields FROM sensor_shape JOIN shape ON shape.id = shape"
            " WHERE sensor = ?",
            (number,),
        )
    }
    known = sorted({name for names in shapes.values() for name in names})
    for field in fields:
        if field not in known:
            raise UnknownSensorError(
                f"field: found {field[:80]!r}, expected one of {', '.join(known)}"
            )
    wanted = fields or known
    places: Places = {
        shape: [names.index(field) if field in names else None for field in wanted]
        for shape, names in shapes.items()
    }
    return SensorFields(number, wanted, places)


def sensor_id(db: sqlite3.Connection, node: str, sensor: str) -> int:
    """Return a sensor's id. Raises UnknownSensorError."""
    found = db.execute(
        "SELECT sensor.id FROM sensor JOIN node ON node.id = sensor.node"
        " WHERE node.name = ? AND sensor.name = ?",
        (node, sensor),
    ).fetchone()
    if found is None:
        raise UnknownSensorError(
            f"sensor: found {node[:70]}:{sensor[:70]}, expected one of {_listed(db)}"
        )
    return int(found[0])


def _listed(db: sqlite3.Connection) -> str:
    # The name of what is being removed begins with a dash.
    found = db.execute(
        "SELECT node.name || ':' || sensor.name FROM sensor JOIN node ON node.id = sensor.node"
        " WHERE substr(node.name, 1, 1) != '-' AND substr(sensor.name, 1, 1) != '-'"
        " ORDER BY 1 LIMIT ?",
        (_MOST_NAMES + 1,),
    )
    names = [name for (name,) in found]
    if len(names) > _MOST_NAMES:
        names[_MOST_NAMES:] = ["..."]
    return ", ".join(names) or "none yet"
