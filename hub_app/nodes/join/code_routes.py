"""`/api/join-codes`: operators make and revoke join codes, and see how far a machine is."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from bus.contract.join import JoinStatus
from bus.errors import MisconfiguredError, UnavailableError
from hub_app.http.responses import Json, read_json
from hub_app.nodes.join import codes
from hub_app.nodes.join.codes import NodeWish
from hub_app.nodes.join.service import JoinService

T = TypeVar("T")

_USAGE = (
    '{"node": "pi4"}, with "replace": true for a machine that takes its place, "area": "Garden", '
    'or "attached": {"dht22": [4], "leds": 11, "buzzer": 17, "fan": 27}'
)


class JoinCodeMade(msgspec.Struct, frozen=True):
    """The line to run on the new machine. It holds the code and is not kept."""

    node: str
    line: str
    expires_ms: int
    ok: bool = True


class JoinCodes(msgspec.Struct, frozen=True):
    """The joins of the last hour."""

    joins: list[JoinStatus]


class JoinCodeRevoked(msgspec.Struct, frozen=True):
    """The node whose code is of no use any more."""

    node: str
    ok: bool = True


async def join_codes(request: Request) -> Response:
    service = _service(request)
    found = await _in_thread(lambda: codes.load(service.path))
    return Json(JoinCodes(service.statuses(found)))


async def make_join_code(request: Request) -> Response:
    wish = await read_json(request, NodeWish, _USAGE)
    service, asked = _service(request), request.url.hostname or ""
    await _in_thread(service.check_ready)
    line, made = await _in_thread(lambda: service.make_line(wish, asked), 400)
    return Json(JoinCodeMade(wish.node, line, made.expires_ms))


async def revoke_join_code(request: Request) -> Response:
    service, node = _service(request), request.path_params["node"]
    if not await _in_thread(lambda: service.revoke(node)):
        raise HTTPException(404, f"found no join code for {node[:70]!r}")
    return Json(JoinCodeRevoked(node))


def _service(request: Request) -> JoinService:
    service: JoinService | None = request.app.state.joins
    if service is None:
        raise HTTPException(503, "this hub lets no machines join")
    return service


async def _in_thread(call: Callable[[], T], status: int = 503) -> T:
    """Call in a thread, as files are read and written; an error is answered with `status`."""
    try:
        return await asyncio.to_thread(call)
    except MisconfiguredError as e:
        raise HTTPException(status, str(e)) from e
    except UnavailableError as e:
        raise HTTPException(503, str(e)) from e
