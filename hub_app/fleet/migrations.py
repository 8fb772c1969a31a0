"""Migrations: bring the tables of the fleet's database to this program's version."""

from importlib import resources

from bus.clock import DAY_MS
from bus.config.history_table import FleetConfig
from hub_app.fleet.connection import SCHEMA, Connection
from hub_app.fleet.errors import EncodingError, NewerSchemaError

# Any number that no other program uses for a lock.
_LOCK = 1213223504


def scripts() -> list[tuple[int, str]]:
    """Return number and statements of each migration, in order."""
    folder = resources.files("hub_app.fleet") / "schema"
    files = sorted(file.name for file in folder.iterdir() if file.name.endswith(".sql"))
    return [(int(name[:4]), (folder / name).read_text(encoding="utf-8")) for name in files]


def migrate(db: Connection) -> int:
    """Apply the migrations that are missing, all or none; return how many.

    Several programs may call at the same time. Raises NewerSchemaError where a newer version of
    this program has made the tables, EncodingError where the database cannot hold all texts.
    """
    known = scripts()
    _check_encoding(db)
    with db.transaction():
        db.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
        done = _version(db)
        if done > len(known):
            raise NewerSchemaError(
                f"the tables of the fleet have version {done}, expected at most {len(known)}; "
                "a newer version of this program made them"
            )
        for number, statements in known[done:]:
            db.execute(statements.encode())
            db.execute("INSERT INTO migration (number) VALUES (%s)", (number,))
    return len(known) - done


def apply_settings(db: Connection, settings: FleetConfig) -> None:
    """Set for how long readings and means are kept."""
    db.execute(
        "UPDATE setting SET value = CASE name WHEN 'keep_readings_days' THEN %s::float8"
        " WHEN 'keep_means_days' THEN %s::float8 ELSE value END",
        (settings.readings_days, settings.means_days),
    )


def make_partitions(db: Connection, times_ms: list[int]) -> None:
    """Make the partitions for these times where they are missing, and the next ones."""
    db.execute("SELECT make_partitions(%s::bigint[])", (times_ms,))


def week_of(at_ms: int) -> int:
    """Return the number of the partition of readings that holds a time."""
    return at_ms // (7 * DAY_MS)


def _check_encoding(db: Connection) -> None:
    """Raise EncodingError where some text cannot be stored. SQL_ASCII stores every byte."""
    found = db.execute("SHOW server_encoding").fetchone()
    if found and found[0] not in {"UTF8", "SQL_ASCII"}:
        raise EncodingError(
            f"found a database with the encoding {found[0]}, expected UTF8: "
            "createdb --encoding UTF8 --template template0"
        )


def _version(db: Connection) -> int:
    found = db.execute("SELECT to_regclass(%s)", (f"{SCHEMA}.migration",)).fetchone()
    if found is None or found[0] is None:
        db.execute(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}")
        db.execute(
            "CREATE TABLE migration"
            " (number integer PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT now())"
        )
        return 0
    row = db.execute("SELECT coalesce(max(number), 0) FROM migration").fetchone()
    return int(row[0]) if row else 0
