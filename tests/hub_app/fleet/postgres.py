"""A PostgreSQL server of the tests, on a UNIX socket in a folder of its own."""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psycopg

from tests.support import WAIT_S, wait_until

_USER = "harvester"


def programs() -> Path | None:
    """Return the folder of the newest PostgreSQL that is installed, from version 15 on."""
    found = [
        path.parent
        for path in Path("/usr/lib/postgresql").glob("*/bin/postgres")
        if path.parent.parent.name.isdigit() and int(path.parent.parent.name) >= 15
    ]
    if found:
        return max(found, key=lambda path: int(path.parent.name))
    server = shutil.which("postgres")
    return Path(server).parent if server else None


class PostgresServer:
    """A server from `start` to `stop`; `kill` ends the postmaster as a power cut would."""

    def __init__(self, bin_dir: Path, *, syncs: bool = False) -> None:
        self._bin = bin_dir
        # Without, a killed process still loses nothing of what the kernel has.
        self._fsync = "on" if syncs else "off"
        # Not the folder of a test: a socket's path is short, and another user needs access.
        self.folder = Path(tempfile.mkdtemp(prefix="harvester-pg-"))
        self._process: subprocess.Popen[bytes] | None = None
        self._account: Mapping[str, Any] = {}
        if os.geteuid() == 0:
            # The server refuses to run as root.
            account = pwd.getpwnam("postgres")
            os.chown(self.folder, account.pw_uid, account.pw_gid)
            self._account = {"user": "postgres", "group": account.pw_gid, "extra_groups": []}
        self._run(
            *("initdb", "-D", str(self.folder / "data"), "-U", _USER, "-A", "trust"),
            *("--no-sync", "-E", "UTF8", "--locale=C"),
        )

    def url(self, database: str = "postgres") -> str:
        return f"postgresql://{_USER}@/{database}?host={self.folder}"

    def new_database(self) -> str:
        """Make an empty database; return its URL."""
        name = f"fleet_{uuid.uuid4().hex[:12]}"
        with psycopg.connect(self.url(), autocommit=True) as db:
            db.execute(f"CREATE DATABASE {name}".encode())
        return self.url(name)

    def start(self) -> None:
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    *(self._bin / "postgres", "-D", self.folder / "data", "-k", self.folder),
                    *("-c", "listen_addresses=", "-c", "max_connections=50"),
                    *("-c", f"fsync={self._fsync}"),
                ],
                stdout=log,
                stderr=log,
                cwd=self.folder,
                start_new_session=True,
                **self._account,
            )
        wait_until(self._is_ready)

    def _is_ready(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, (self.folder / "log").read_text()
        try:
            psycopg.connect(self.url(), connect_timeout=10).close()
        except psycopg.OperationalError:
            return False
        return True

    @property
    def pid(self) -> int:
        """The postmaster, whose children are the processes of the server."""
        assert self._process is not None
        return self._process.pid

    def kill(self) -> None:
        """Kill the postmaster; its other processes notice and end."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._end(signal.SIGINT)

    def close(self) -> None:
        if self._process is not None and self._process.poll() is None:
            # At once: nobody needs the data any more.
            self._end(signal.SIGQUIT)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _end(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)
        self._process.wait(WAIT_S)

    def _run(self, program: str, *arguments: str) -> None:
        done = subprocess.run(
            [self._bin / program, *arguments],
            capture_output=True,
            text=True,
            check=False,
            cwd=self.folder,
            timeout=WAIT_S,
            **self._account,
        )
        assert done.returncode == 0, done.stderr
