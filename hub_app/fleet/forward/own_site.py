"""The site of a hub in the fleet's database: its row and its lock, found by name and by history.

A history that was forwarded under another name takes that site along to its new one, so that no
reading comes twice.
"""

import logging

from hub_app.fleet.connection import Connection
from hub_app.fleet.errors import SiteInUseError, SiteNameError

logger = logging.getLogger(__name__)

# A lock of the session, with the number of the site.
_LOCK = 1213223506


def take(db: Connection, name: str, history: str) -> int:
    """Return the number of the site `name`, locked for this connection alone.

    `history` identifies the history whose readings are forwarded; empty where none are.

    Raises SiteInUseError where another hub forwards as the site, and SiteNameError where the
    readings of this history belong to another one that cannot take the name.
    """
    with db.transaction():
        if history:
            _follow_renamed(db, name, history)
        db.execute("INSERT INTO site (name) VALUES (%s) ON CONFLICT DO NOTHING", (name,))
        number = _number(db, name)
        if not _is_locked(db, number):
            raise SiteInUseError(
                f"fleet.site: found {name!r}, under which another hub forwards, or did until its "
                "connection was lost; expected a name of its own for each hub"
            )
        if history:
            db.execute("UPDATE site SET history = %s WHERE id = %s", (history, number))
    return number


def _follow_renamed(db: Connection, name: str, history: str) -> None:
    found = db.execute(
        "SELECT id, name FROM site WHERE history = %s ORDER BY name <> %s LIMIT 1", (history, name)
    ).fetchone()
    if found is None or found[1] == name:
        return
    former, former_name = found
    if _exists(db, name):
        raise SiteNameError(
            f"fleet.site: found {name!r}, under which other readings are stored, while those of "
            f"this hub are stored as the site {former_name!r}; expected that name or a new one"
        )
    if not _is_locked(db, former):
        raise SiteInUseError(
            f"fleet.site: found {name!r}, while another hub forwards the same history as "
            f"{former_name!r}; expected one hub for it: the other has a copy of its history.db"
        )
    db.execute("UPDATE site SET name = %s WHERE id = %s", (name, former))
    logger.warning("fleet: the site %s has the name %s now", former_name, name)


def _is_locked(db: Connection, number: int) -> bool:
    """Return whether this connection has the lock of the site; take it where it is free."""
    found = db.execute("SELECT pg_try_advisory_lock(%s, %s)", (_LOCK, number)).fetchone()
    return bool(found and found[0])


def _exists(db: Connection, name: str) -> bool:
    return db.execute("SELECT FROM site WHERE name = %s", (name,)).fetchone() is not None


def _number(db: Connection, name: str) -> int:
    (number,) = db.execute("SELECT id FROM site WHERE name = %s", (name,)).fetchone()  # type: ignore[misc]
    return int(number)
