"""A PostgreSQL server of the tests, in a folder of its own, with a UNIX socket and a TCP port."""

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

import msgspec
import psycopg

from tests.support import WAIT_S, wait_until

_USER = "harvester"
# It names the socket, too.
_SOCKET_PORT = 5432


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


class Tls(msgspec.Struct, frozen=True):
    """Certificate and key of a server, PEM."""

    certificate: bytes
    key: bytes


class PostgresServer:
    """A server from `start` to `stop`; `kill` ends the postmaster as a power cut would.

    It listens on the loopback address where `port` is given, and asks for `password` there.
    """

    def __init__(
        self,
        bin_dir: Path,
        *,
        syncs: bool = False,
        port: int = 0,
        tls: Tls | None = None,
        password: str = "",
    ) -> None:
        self._bin = bin_dir
        # Without, a killed process still loses nothing of what the kernel has.
        self._options = [f"fsync={'on' if syncs else 'off'}", "max_connections=50"]
        self._options += ["listen_addresses="] if not port else [f"port={port}"]
        self.port = port or _SOCKET_PORT
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
        self._password = password
        if tls is not None:
            self._set_up(tls)

    def _set_up(self, tls: Tls) -> None:
        for name, content in (("server.crt", tls.certificate), ("server.key", tls.key)):
            path = self.folder / "data" / name
            path.write_bytes(content)
            path.chmod(0o600)
            shutil.chown(path, self._account.get("user", os.geteuid()))
        self._options.append("ssl=on")

    def _ask_for_password(self) -> None:
        with psycopg.connect(self.url(), autocommit=True) as db:
            db.execute(f"ALTER USER {_USER} PASSWORD '{self._password}'".encode())
            rules = self.folder / "data" / "pg_hba.conf"
            rules.write_text("local all all trust\nhost all all all scram-sha-256\n")
            db.execute("SELECT pg_reload_conf()")

    def url(self, database: str = "postgres") -> str:
        return f"postgresql://{_USER}@/{database}?host={self.folder}&port={self.port}"

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
                    *(part for option in self._options for part in ("-c", option)),
                ],
                stdout=log,
                stderr=log,
                cwd=self.folder,
                start_new_session=True,
                **self._account,
            )
        wait_until(self._is_ready)
        if self._password:
            self._ask_for_password()

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
