"""Ids of shapes in the fleet's database: all new ones of a batch in a few statements.

A sensor with optional values may have thousands of shapes, and the database may be far away.
"""

from collections.abc import Collection

import msgspec

from hub_app.fleet.connection import Connection
from hub_app.fleet.forward.reading_rows import Shape

_WANTED = "jsonb_to_recordset(%s::text::jsonb) AS w (numbers text[], booleans text[], texts text[])"
_KEY = "shape_key(w.numbers, w.booleans, w.texts)"


def ids_of(db: Connection, shapes: Collection[Shape]) -> dict[Shape, int]:
    """Return the id of each shape; add those that are not in the database yet."""
    # All hubs add in the same order, so that none waits for one that waits for it.
    wanted = sorted(shapes, key=msgspec.structs.astuple)
    fields = sorted({name for shape in wanted for name in (*shape.numbers, *shape.texts)})
    text = msgspec.json.encode(wanted).decode()
    with db.transaction():
        db.execute(
            "INSERT INTO field (name) SELECT unnest(%s::text[]) ON CONFLICT DO NOTHING", (fields,)
        )
        db.execute(
            "INSERT INTO shape (numbers, booleans, texts)"  # noqa: S608 - texts of this module
            f" SELECT w.numbers, w.booleans, w.texts FROM {_WANTED} ON CONFLICT DO NOTHING",
            (text,),
        )
        found = db.execute(
            "SELECT id, s.numbers, s.booleans, s.texts"  # noqa: S608 - texts of this module
            f" FROM {_WANTED} JOIN shape AS s"
            f" ON shape_key(s.numbers, s.booleans, s.texts) = {_KEY}",
            (text,),
        ).fetchall()
        db.execute(
            "INSERT INTO shape_field (shape, place, is_text, field)"
            " SELECT s.id, f.place, f.is_text, field.id FROM shape AS s CROSS JOIN LATERAL ("
            " SELECT name, place, false FROM unnest(s.numbers) WITH ORDINALITY AS n (name, place)"
            " UNION ALL"
            " SELECT name, place, true FROM unnest(s.texts) WITH ORDINALITY AS t (name, place)"
            ") AS f (name, place, is_text) JOIN field ON field.name = f.name"
            " WHERE s.id = ANY(%s) ORDER BY 1, 3, 2 ON CONFLICT DO NOTHING",
            ([row[0] for row in found],),
        )
    return {
        Shape(tuple(numbers), tuple(booleans), tuple(texts)): number
        for number, numbers, booleans, texts in found
    }
