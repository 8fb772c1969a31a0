"""A hub with discovery, its three simulated nodes, and what the broker retains."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import httpx
import msgspec

from broker.auth import accounts
from broker.auth.gate import Role
from bus.config.hub_files import ACCOUNTS_NAME
from tests.hub_app.homeassistant.forward.home import HomeClient
from tests.support import HOST, PROJECT, WAIT_S, free_port, settings, wait_until

_STOP_S = 30.0
LOGIN = {"username": "ha", "password": "a password for tests"}


class System:
    """`harvester up` in a folder; `keys` are of the hub's configuration."""

    def __init__(self, folder: Path, **keys: object) -> None:
        self.web_port, self.mqtt_port = free_port(), free_port()
        self.http = httpx.Client(
            base_url=f"http://{HOST}:{self.web_port}", timeout=WAIT_S, trust_env=False
        )
        self.accounts = folder / "revpi" / ACCOUNTS_NAME
        self._log = folder / "up.log"
        ports = ("--web-port", self.web_port, "--mqtt-port", self.mqtt_port)
        self._command = [
            *(Path(sys.executable).parent / "harvester", "--project", PROJECT, "up"),
            *(*ports, "--zero-port", free_port(), "--state", folder),
            *settings(homeassistant__discovery="true", **keys),
        ]

    def __enter__(self) -> Self:
        self.accounts.parent.mkdir(parents=True)
        accounts.set_password(self.accounts, LOGIN["username"], Role.INTEGRATION, LOGIN["password"])
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                list(map(str, self._command)),
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        wait_until(self._has_nodes)
        return self

    def __exit__(self, *_: object) -> None:
        self.http.close()
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(_STOP_S)
        finally:
            self._process.kill()
            self._process.wait(_STOP_S)

    @property
    def log(self) -> str:
        return self._log.read_text(errors="replace")

    def kill(self, program: str, config: str) -> None:
        """Kill -9 one of the programs, which is started again after some seconds."""
        (pid,) = [pid for pid, line in self._children() if program in line and config in line]
        os.kill(pid, signal.SIGKILL)

    def _children(self) -> Iterator[tuple[int, str]]:
        path = Path(f"/proc/{self._process.pid}/task")
        for task in path.iterdir():
            for pid in (task / "children").read_text().split():
                line = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
                yield int(pid), line

    def _has_nodes(self) -> bool:
        assert self._process.poll() is None, self.log[-4000:]
        try:
            found = self.http.get("/api/readings").json()["readings"]
        except (httpx.HTTPError, ValueError):
            return False
        wanted = ("pi4:dht22-gpio4", "pi4:bme680-0x77", "pizero:ping-pi4", "revpi:revpi-monitor")
        return set(wanted) <= {reading["sensor_id"] for reading in found}


class Discovered(HomeClient):
    """What a broker has of discovery, and everything that is said on it."""

    def __init__(self, port: int) -> None:
        super().__init__(port, filters=["homeassistant/#", "harvester/#"])

    def entities(self) -> dict[tuple[str, str], dict[str, Any]]:
        """Return the configuration of each entity, by its domain and the name that it gets."""
        found = {}
        for topic, payload in self.retained.items():
            if not topic.startswith("homeassistant/") or not topic.endswith("/config"):
                continue
            config = msgspec.json.decode(payload)
            component = topic.split("/")[1]
            parts = config.get("components", {"": {"platform": component, **config}})
            for part in parts.values():
                name = f"{config['device']['name']} {part['name']}"
                found[part["platform"], name] = part
        return found

    def named(self, word: str) -> list[str]:
        """Return the topics of discovery that have `word` in them."""
        return [t for t in self.retained if t.startswith("homeassistant/") and word in t]
