"""Routes of the join listener for nodes that update: the hub's wheels, for accounts of nodes."""

import asyncio
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from broker.auth import bundle_key
from bus.errors import HarvesterError
from bus.install.version import VERSION
from bus.install.wheel_list import WHEELS_PATH, WheelEntry, WheelList
from hub_app.http.api.operation import Answer, Operation, json
from hub_app.http.responses import Json
from hub_app.nodes.join.routes import EXTRAS, MACHINE, asking_machine, wheel_response
from hub_app.nodes.join.wheels import Wheels
from hub_app.nodes.node_logins import NodeLogins

T = TypeVar("T")


class WheelService:
    """Wheels for nodes. Its methods block: use a thread."""

    def __init__(self, logins: NodeLogins, wheels: Wheels, login_dir: Path) -> None:
        """`login_dir` has the key of bundles."""
        self._logins, self._wheels, self._login_dir = logins, wheels, login_dir

    def check(self, address: str, header: str) -> None:
        """Raise HTTPException where the header is not the login of a node."""
        self._logins.check(address, header)

    def list(self, machine: str, extras: list[str]) -> WheelList:
        """Return the wheels for a machine, and the hub's key.

        Raises UnavailableError, MisconfiguredError.
        """
        return WheelList(
            VERSION,
            [self._entry(name) for name in self._wheels.names(machine, extras)],
            bundle_key.ensure(self._login_dir),
        )

    def path(self, name: str) -> Path | None:
        return self._wheels.path(name)

    def _entry(self, name: str) -> WheelEntry:
        path = self._wheels.path(name)
        if path is None:
            raise HTTPException(503, f"{name}: it is gone; try again")
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        return WheelEntry(name, digest, path.stat().st_size)


async def list_wheels(request: Request) -> Response:
    service = await _checked(request)
    machine, extras = asking_machine(request)
    return Json(await _in_thread(lambda: service.list(machine, extras)))


async def send_wheel(request: Request) -> Response:
    service = await _checked(request)
    return wheel_response(await _in_thread(lambda: service.path(request.path_params["wheel"])))


async def _checked(request: Request) -> WheelService:
    service: WheelService = request.app.state.wheels
    address = request.client.host if request.client else ""
    header = request.headers.get("authorization", "")
    await _in_thread(lambda: service.check(address, header))
    return service


async def _in_thread(call: Callable[[], T]) -> T:
    try:
        return await asyncio.to_thread(call)
    except HarvesterError as e:
        raise HTTPException(503, str(e)) from e


OPERATIONS = (
    Operation(
        method="GET",
        path=WHEELS_PATH,
        endpoint=list_wheels,
        summary="Wheels of the hub's version for a node, HARVESTER's own first",
        group="join",
        answers=json(WheelList),
        parameters=(MACHINE, EXTRAS),
        errors=(400, 401, 429, 503),
        is_open=True,
    ),
    Operation(
        method="GET",
        path=f"{WHEELS_PATH}/{{wheel}}",
        endpoint=send_wheel,
        summary="One of these wheels",
        group="join",
        answers={200: Answer(media={"application/zip": bytes})},
        errors=(401, 404, 429, 503),
        is_open=True,
    ),
)
