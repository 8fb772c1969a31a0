"""`/api/join-codes`: operators make and revoke join codes, and see how far a machine is."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from bus.contract.bounds import Name
from bus.contract.join import JoinStatus
from bus.errors import MisconfiguredError, UnavailableError
from hub_app.http.responses import Json, read_json
from hub_app.join import codes
from hub_app.join.desk import JoinDesk

T = TypeVar("T")

_USAGE = '{"node": "pi4"}, or with "replace": true for a machine that takes its place'


class JoinCodeBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of POST /api/join-codes. `replace`: the old machine's login ends."""

    node: Name
    replace: bool = False


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
    desk = _desk(request)
    found = await _in_thread(lambda: codes.load(desk.path))
    return Json(JoinCodes(desk.statuses(found)))


async def make_join_code(request: Request) -> Response:
    body = await read_json(request, JoinCodeBody, _USAGE)
    desk, asked = _desk(request), request.url.hostname or ""
    await _in_thread(desk.check_ready)
    line, made = await _in_thread(
        lambda: desk.make_line(body.node, replace=body.replace, asked=asked), 400
    )
    return Json(JoinCodeMade(body.node, line, made.expires_ms))


async def revoke_join_code(request: Request) -> Response:
    desk, node = _desk(request), request.path_params["node"]
    if not await _in_thread(lambda: desk.revoke(node)):
        raise HTTPException(404, f"found no join code for {node[:70]!r}")
    return Json(JoinCodeRevoked(node))


def _desk(request: Request) -> JoinDesk:
    desk: JoinDesk | None = request.app.state.desk
    if desk is None:
        raise HTTPException(503, "this hub lets no machines join")
    return desk


async def _in_thread(call: Callable[[], T], status: int = 503) -> T:
    """Call in a thread, as files are read and written; an error is answered with `status`."""
    try:
        return await asyncio.to_thread(call)
    except MisconfiguredError as e:
        raise HTTPException(status, str(e)) from e
    except UnavailableError as e:
        raise HTTPException(503, str(e)) from e
