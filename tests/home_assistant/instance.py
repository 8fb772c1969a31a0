"""A running Home Assistant: its configuration, its process and its REST API."""

import base64
import hashlib
import hmac
import json
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import httpx

from tests.home_assistant.install import Release
from tests.support import HOST, WAIT_S, free_port, wait_until

_USER, _TOKEN, _KEY, _ENTRY = "a" * 32, "b" * 32, "c" * 128, "e" * 32
_START_S = 120.0
_STOP_S = 30.0
_CONFIGURATION = """\
homeassistant:
  name: Test
  latitude: 50.0
  longitude: 8.0
  elevation: 100
  unit_system: metric
  time_zone: UTC
http:
  server_host: 127.0.0.1
  server_port: {port}
api:
config:
logger:
  default: warning
"""


class HomeAssistant:
    """Home Assistant in a folder, a client of the broker at `mqtt_port`. It may be restarted."""

    def __init__(
        self, release: Release, folder: Path, mqtt_port: int, login: dict[str, str]
    ) -> None:
        self.release = release
        self._folder = folder
        self._port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        token = _configure(folder, self._port, {"broker": HOST, "port": mqtt_port, **login})
        self._http = httpx.Client(
            base_url=f"http://{HOST}:{self._port}",
            headers={"Authorization": f"Bearer {token}"},
            timeout=WAIT_S,
            trust_env=False,
        )

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self._http.close()

    def start(self) -> None:
        program = Path(__file__).parent / "lean.py"
        command = [self.release.interpreter, program, "-c", self._folder, "--skip-pip"]
        with (self._folder / "output").open("ab") as output:
            self._process = subprocess.Popen(
                command, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
            )
        deadline_s = time.monotonic() + _START_S
        while not self._answers():
            assert self._process.poll() is None, self.log[-4000:]
            assert time.monotonic() < deadline_s, self.log[-4000:]
            time.sleep(0.1)

    def stop(self) -> None:
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(_STOP_S)
        self._process = None

    @property
    def log(self) -> str:
        return (self._folder / "output").read_text(errors="replace")

    @property
    def complaints(self) -> list[str]:
        """Warnings and errors that are about MQTT or something of ours."""
        ours = ("mqtt", "harvester", "HARVESTER", "revpi", "pi4", "pizero", "attic")
        lines = [line for line in self.log.splitlines() if " WARNING " in line or " ERROR " in line]
        return [line for line in lines if any(word in line for word in ours)]

    def states(self) -> dict[str, dict[str, Any]]:
        """Return every state by its entity id."""
        found: list[dict[str, Any]] = self._http.get("/api/states").json()
        return {state["entity_id"]: state for state in found}

    def state(self, entity_id: str) -> dict[str, Any]:
        answer = self._http.get(f"/api/states/{entity_id}")
        return answer.json() if answer.is_success else {"state": "(none)", "attributes": {}}

    def wait(self, entity_id: str, wanted: str | Callable[[dict[str, Any]], object]) -> float:
        """Wait for a state; return the seconds that it took."""
        began_s = time.monotonic()
        deadline_s = began_s + WAIT_S
        while True:
            found = self.state(entity_id)
            if found["state"] == wanted if isinstance(wanted, str) else wanted(found):
                return time.monotonic() - began_s
            assert time.monotonic() < deadline_s, f"{entity_id}: {found}\n{self.complaints}"
            time.sleep(0.02)

    def call(self, service: str, entity_id: str, **data: object) -> None:
        """Call a service, for example `fan.turn_on`."""
        domain, _, name = service.partition(".")
        path = f"/api/services/{domain}/{name}"
        answer = self._http.post(path, json={"entity_id": entity_id, **data})
        assert answer.is_success, (service, entity_id, answer.text)

    def picture(self, entity_id: str) -> bytes:
        """Return the picture of an image entity."""
        return self._http.get(self.state(entity_id)["attributes"]["entity_picture"]).content

    def render(self, template: str) -> str:
        """Return what a template of Home Assistant renders to."""
        return self._http.post("/api/template", json={"template": template}).text

    def wait_until_settled(self) -> None:
        """Wait until no more entities come."""
        seen = -1

        def is_settled() -> bool:
            nonlocal seen
            before, seen = seen, len(self.states())
            time.sleep(1.0)
            return seen == before and seen > 0

        wait_until(is_settled)

    def _answers(self) -> bool:
        try:
            return self._http.get("/api/").is_success
        except httpx.HTTPError:
            return False


def _configure(folder: Path, port: int, broker: dict[str, Any]) -> str:
    """Write a configuration that needs no onboarding; return a token."""
    storage = folder / ".storage"
    storage.mkdir(parents=True)
    (folder / "configuration.yaml").write_text(_CONFIGURATION.format(port=port))
    (folder / "output").touch()
    for name, version, data in (
        ("auth", 1, _auth()),
        ("onboarding", 4, {"done": ["user", "core_config", "analytics", "integration"]}),
        ("core.config_entries", 1, {"entries": [_entry(broker)]}),
    ):
        content = {"version": version, "minor_version": 1, "key": name, "data": data}
        (storage / name).write_text(json.dumps(content))
    return _jwt()


def _auth() -> dict[str, Any]:
    user = {
        "id": _USER,
        "group_ids": ["system-admin"],
        "is_owner": True,
        "is_active": True,
        "name": "test",
        "system_generated": False,
        "local_only": False,
    }
    token = {
        "id": _TOKEN,
        "user_id": _USER,
        "client_id": None,
        "client_name": "test",
        "client_icon": None,
        "token_type": "long_lived_access_token",
        "created_at": "2024-01-01T00:00:00+00:00",
        "access_token_expiration": 315360000.0,
        "token": "d" * 128,
        "jwt_key": _KEY,
        "last_used_at": None,
        "last_used_ip": None,
        "expire_at": None,
        "credential_id": None,
        "version": "2024.3.3",
    }
    groups = [{"id": f"system-{name}", "name": name} for name in ("admin", "users", "read-only")]
    return {"users": [user], "groups": groups, "credentials": [], "refresh_tokens": [token]}


def _entry(broker: dict[str, Any]) -> dict[str, Any]:
    return {
        "entry_id": _ENTRY,
        "version": 1,
        "minor_version": 1,
        "domain": "mqtt",
        "title": "harvester",
        "data": broker,
        "options": {},
        "source": "user",
        "pref_disable_new_entities": False,
        "pref_disable_polling": False,
        "unique_id": None,
        "disabled_by": None,
    }


def _jwt() -> str:
    now_s = int(time.time())
    claims = {"iss": _TOKEN, "iat": now_s - 60, "exp": now_s + 86_400}
    parts = [
        _base64(json.dumps(part, separators=(",", ":")).encode())
        for part in ({"alg": "HS256", "typ": "JWT"}, claims)
    ]
    signed = ".".join(parts)
    digest = hmac.new(_KEY.encode(), signed.encode(), hashlib.sha256).digest()
    return f"{signed}.{_base64(digest)}"


def _base64(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()
