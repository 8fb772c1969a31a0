"""Connections to the fleet's database, on which no call waits for ever."""

import contextlib
import time
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import psycopg

from bus.config.history_table import FleetConfig
from bus.errors import MisconfiguredError
from bus.files import private_file
from hub_app.fleet.errors import FleetUnavailableError

SCHEMA = "harvester"

T = TypeVar("T")

# The first line has what a server or a database may prefer otherwise.
# Compiling a statement takes longer than running it here, by far.
# A network that vanished is noticed at both ends: the server then releases the session's locks.
_OPTIONS = (
    f"-c search_path={SCHEMA} -c timezone=UTC -c datestyle=ISO -c extra_float_digits=1 -c jit=off"
    " -c standard_conforming_strings=on -c statement_timeout=%(statement_ms)d"
    " -c tcp_keepalives_idle=%(idle_s)d -c tcp_keepalives_interval=%(interval_s)d"
    " -c tcp_keepalives_count=3 -c tcp_user_timeout=%(lost_ms)d"
    " -c idle_in_transaction_session_timeout=60000 -c idle_session_timeout=%(idle_session_ms)d"
)


class Timeouts(msgspec.Struct, frozen=True):
    """Times in seconds after which a connection is given up.

    `lost_s`: the other end acknowledges no packet. `statement_s`: the server works on a statement.
    `answer_s`: it does not answer, which a proxy or firewall between may hide from TCP.
    `idle_s`: the server closes the connection where nothing has been asked; 0 for never.
    """

    connect_s: float = 10.0
    lost_s: float = 40.0
    statement_s: float = 120.0
    answer_s: float = 150.0
    idle_s: float = 0.0


class Connection(psycopg.Connection[Any]):
    """A connection that fails and closes where an answer takes longer than `answer_s`."""

    answer_s = Timeouts().answer_s
    # Why it was given up. What uses the closed connection after that fails in other words.
    failure = ""

    def wait(self, gen: Generator[Any, Any, T], *args: Any, **keys: Any) -> T:
        return super().wait(self._bounded(gen), *args, **keys)

    def _bounded(self, gen: Generator[Any, Any, T]) -> Generator[Any, Any, T]:
        """Pass on what psycopg waits for; it looks at the time ten times a second."""
        until_s = time.monotonic() + self.answer_s
        try:
            wanted = next(gen)
            while True:
                ready = yield wanted
                # A thread that was starved finds the answer there.
                if not ready and time.monotonic() > until_s:
                    gen.close()
                    self.close()
                    self.failure = f"no answer within {self.answer_s:g} s"
                    raise psycopg.OperationalError(self.failure)
                wanted = gen.send(ready)
        except StopIteration as e:
            result: T = e.value
            return result


def connect(settings: FleetConfig, program: str, timeouts: Timeouts | None = None) -> Connection:
    """Return a new connection in autocommit mode; `program` is its name in `pg_stat_activity`.

    Raises FleetUnavailableError.
    """
    times = timeouts or Timeouts()
    parameters = _parameters(times)
    try:
        if settings.password_file:
            parameters["password"] = read_password(settings)
        db = Connection.connect(
            settings.url, autocommit=True, application_name=program, **parameters
        )
    except (psycopg.Error, MisconfiguredError) as e:
        raise FleetUnavailableError(sentence(e)) from e
    db.answer_s = times.answer_s
    return db


@contextlib.contextmanager
def errors_translated(db: Connection) -> Iterator[None]:
    """Raise FleetUnavailableError for what the driver raises."""
    try:
        yield
    except psycopg.Error as e:
        raise FleetUnavailableError(db.failure or sentence(e)) from e


def _parameters(times: Timeouts) -> dict[str, Any]:
    # Three probes: half of the time for silence, a quarter between two of them.
    idle_s, interval_s = max(1, round(times.lost_s / 2)), max(1, round(times.lost_s / 4))
    lost_ms = round(times.lost_s * 1000)
    options = _OPTIONS % {
        "statement_ms": round(times.statement_s * 1000),
        "idle_s": idle_s,
        "interval_s": interval_s,
        "lost_ms": lost_ms,
        "idle_session_ms": round(times.idle_s * 1000),
    }
    return {
        "options": options,
        # Whatever the server, the database or the environment prefers.
        "client_encoding": "UTF8",
        "connect_timeout": max(2, round(times.connect_s)),
        "keepalives_idle": idle_s,
        "keepalives_interval": interval_s,
        "keepalives_count": 3,
        "tcp_user_timeout": lost_ms,
    }


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
    """Return the error on one line, without the statement that it was in."""
    text, _, _ = str(error).partition("\nCONTEXT:")
    lines = [line.strip() for line in text.splitlines()]
    return " ".join(line for line in lines if line)[:300] or type(error).__name__
