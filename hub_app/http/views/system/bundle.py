"""`GET /api/support-bundle`: a zip for whoever helps. Its configuration has no secrets.

It holds no file of the state directory: those have accounts, tokens and addresses.
"""

import asyncio
import datetime as dt
import io
import subprocess
import sys
import tempfile
import zipfile
from http import HTTPStatus
from pathlib import Path

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from bus.config import config_file
from bus.config.settings import Config
from hub_app.history.logs.log_file import LogLine
from hub_app.http.api.logs import newest_lines
from hub_app.http.api.nodes import node_object
from hub_app.http.responses import hub_of
from hub_app.http.views.shell import may_command
from hub_app.http.views.system.redaction import redacted
from hub_app.http.views.system.report import SystemReporter

_LOG_LINES = 5000
_DOCTOR_TIMEOUT_S = 30.0
_MAKING = asyncio.Lock()


async def support_bundle(request: Request) -> Response:
    if not may_command(request):
        raise HTTPException(HTTPStatus.FORBIDDEN, "only an operator may have the support bundle")
    config: Config | None = request.app.state.config
    if config is None:
        raise HTTPException(HTTPStatus.NOT_FOUND, "this hub has no configuration")
    hub = hub_of(request)
    reporter: SystemReporter = request.app.state.reporter
    # One at a time: it costs a process.
    async with _MAKING:
        report = await reporter.report()
        nodes = [node_object(hub.state, node) for node in hub.state.nodes]
        lines = await newest_lines(hub, _LOG_LINES)
        files = {
            "hub.toml": config_file.dump(config),
            "system.json": _pretty(report),
            "nodes.json": _pretty(nodes),
            "alarms.json": _pretty(hub.alarms.active),
            "log.txt": "".join(map(_line, lines)),
            "doctor.txt": await asyncio.to_thread(_doctor, config),
        }
    name = f"harvester-{dt.datetime.now(dt.UTC):%Y%m%d-%H%M%S}.zip"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    content = await asyncio.to_thread(_zipped, files)
    return Response(content, headers=headers, media_type="application/zip")


def _zipped(files: dict[str, str]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as bundle:
        for name, text in files.items():
            bundle.writestr(name, redacted(text))
    return buffer.getvalue()


def _pretty(value: object) -> str:
    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode()


def _line(line: LogLine) -> str:
    at = dt.datetime.fromtimestamp(line.at_ms / 1000, dt.UTC)
    message = line.message.replace("\n", "\n    ")
    return f"{at:%Y-%m-%d %H:%M:%S}Z {line.node} {line.level} {line.source} {message}\n"


def _doctor(config: Config) -> str:
    """Return what `harvester doctor` says of a copy of the configuration without its secrets."""
    web = msgspec.structs.replace(config.web, password="")
    notify = msgspec.structs.replace(config.notify, addresses_file="")
    plain = msgspec.structs.replace(config, web=web, notify=notify)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "hub.toml"
        path.write_text(config_file.dump(plain), encoding="utf-8")
        command = [sys.executable, "-m", "harvester.cli", "doctor", "--role", "hub"]
        try:
            done = subprocess.run(  # noqa: S603 - fixed words, no shell
                [*command, "--config", str(path)],
                capture_output=True,
                text=True,
                check=False,
                timeout=_DOCTOR_TIMEOUT_S,
            )
        except (OSError, subprocess.TimeoutExpired) as e:
            return f"doctor did not run: {e}\n"
    return done.stdout + done.stderr
