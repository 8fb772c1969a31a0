"""The [history], [backup] and [fleet] tables: the hub's history, its backups, and where it goes."""

from typing import Annotated
from urllib.parse import urlsplit

import msgspec

from bus.config.key_types import Table
from bus.contract.bounds import OptionalName
from bus.errors import MisconfiguredError

_SCHEMES = ("postgresql", "postgres")
_EXAMPLE = "postgresql://USER@HOST/DATABASE"

Days = Annotated[float, msgspec.Meta(gt=0, le=36_500)]


class HistoryConfig(Table, frozen=True):
    """Single readings are kept for `raw_days`; their 5-minute means, minima, maxima for longer."""

    # Readings of so long are one commit; a power cut of hub and node costs nothing of them.
    commit_s: Annotated[float, msgspec.Meta(ge=0.05, le=60)] = 2.0
    raw_days: Days = 30.0
    mean_days: Days = 730.0
    # Log lines of all nodes; above the size, the oldest of the node that has most are deleted.
    log_days: Days = 7.0
    log_mb: Annotated[int, msgspec.Meta(ge=1, le=100_000)] = 64


class BackupConfig(Table, frozen=True):
    """Nightly backups, the newest `keep` of which are kept.

    An empty `directory` is that of the service.
    """

    directory: str = ""
    keep: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 7


class FleetConfig(Table, frozen=True):
    """`url` is the fleet's database; empty where a hub forwards to none.

    The password is in `password_file`, mode 0600, or where libpq finds it (PGPASSFILE). The role
    fleet has readings and their means kept for `readings_days` and `means_days`. `page` is the
    address of this hub's page, to which the page of the fleet then links.
    """

    url: str = ""
    site: OptionalName = ""
    page: str = ""
    password_file: str = ""
    # Between two rounds of forwarding, and of the page of the role fleet.
    interval_s: Annotated[float, msgspec.Meta(ge=0.05, le=3600)] = 2.0
    readings_days: Days = 400.0
    means_days: Days = 3650.0


def check_fleet(table: FleetConfig, role: str) -> None:
    """Raise MisconfiguredError where keys contradict."""
    if not table.url:
        if role == "fleet":
            raise MisconfiguredError(f'fleet.url: found "" for the role fleet, expected {_EXAMPLE}')
        for key in ("site", "page", "password_file"):
            if getattr(table, key):
                raise MisconfiguredError(
                    f"fleet.{key}: found a value without fleet.url; expected {_EXAMPLE} there"
                )
        return
    _check_url(table.url)
    if role == "spoke":
        raise MisconfiguredError("fleet.url: found one for the role spoke; only a hub forwards")
    if table.page and not _is_page(table.page):
        raise MisconfiguredError(
            f"fleet.page: found {table.page[:200]!r}, expected the address of this hub's page: "
            "https://HOST:3000"
        )
    if role == "hub" and not table.site:
        raise MisconfiguredError(
            'fleet.site: found "", expected the name of this site: a-z, 0-9 and hyphens'
        )


def _is_page(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and bool(parts.hostname) and not parts.query


def _check_url(url: str) -> None:
    """Quote nothing that may hold a password."""
    try:
        parts = urlsplit(url)
        password = parts.password
    except ValueError:
        raise MisconfiguredError(f"fleet.url: found no URL, expected {_EXAMPLE}") from None
    if password is not None or "password=" in parts.query:
        raise MisconfiguredError(
            f"fleet.url: found a password in it, expected {_EXAMPLE}; a password belongs into the "
            "file that fleet.password_file names"
        )
    if parts.scheme not in _SCHEMES or not parts.path.removeprefix("/"):
        raise MisconfiguredError(f"fleet.url: found another text, expected {_EXAMPLE}")
