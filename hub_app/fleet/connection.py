"""Connections to the fleet's database."""

from pathlib import Path
from typing import Any

import psycopg

from bus.config.history_table import FleetConfig
from bus.errors import MisconfiguredError
from bus.files import private_file
from hub_app.fleet.errors import FleetUnavailableError

SCHEMA = "harvester"

Connection = psycopg.Connection[Any]

# Compiling a statement takes longer than running it here, by far.
# A network that vanished is noticed within a minute, at both ends: the server then gives up the
# locks of the session.
_OPTIONS = (
    f"-c search_path={SCHEMA} -c timezone=UTC -c statement_timeout=%d -c jit=off"
    " -c tcp_keepalives_idle=20 -c tcp_keepalives_interval=10 -c tcp_keepalives_count=3"
    " -c idle_in_transaction_session_timeout=60000"
)
_CONNECT_S = 10
_KEEPALIVES = {
    "connect_timeout": _CONNECT_S,
    "keepalives_idle": 20,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 40_000,
}


def connect(settings: FleetConfig, program: str, *, statement_s: float = 120.0) -> Connection:
    """Return a new connection in autocommit mode; `program` is its name in `pg_stat_activity`.

    Raises FleetUnavailableError. A statement that takes longer than `statement_s` fails.
    """
    options: dict[str, Any] = {"options": _OPTIONS % round(statement_s * 1000), **_KEEPALIVES}
    try:
        if settings.password_file:
            options["password"] = read_password(settings)
        return psycopg.connect(settings.url, autocommit=True, application_name=program, **options)
    except (psycopg.Error, MisconfiguredError) as e:
        raise FleetUnavailableError(sentence(e)) from e


def read_password(settings: FleetConfig) -> str:
    """Return the content of the password file. Raises MisconfiguredError where it is unusable."""
    path = Path(settings.password_file)
    try:
        return private_file.read(path).decode().strip()
    except FileNotFoundError as e:
        raise MisconfiguredError(f"{path}: found no such file; expected one with a password") from e
    except UnicodeDecodeError as e:
        raise MisconfiguredError(f"{path}: found no text; expected a password") from e


def sentence(error: Exception) -> str:
    """Return the error on one line."""
    lines = [line.strip() for line in str(error).splitlines()]
    return " ".join(line for line in lines if line)[:300] or type(error).__name__
