"""Helpers of the routes: JSON responses, bounded request bodies, checks of parameters."""

import asyncio
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from bus.contract.mistake import first_mistake
from hub_app.hub import Hub
from hub_app.live.state import State

T = TypeVar("T")

# HTML, CSS and JavaScript of the page.
PAGE_DIR = Path(__file__).parents[1] / "page"
# Enough for a command, and for a name and a password.
MAX_BODY_BYTES = 4096
# Some 2 ms on a Raspberry Pi.
_ITEMS_PER_SLICE = 50
_NOT_JSON = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class Refusal(msgspec.Struct, frozen=True):
    """An error: a sentence that says what was found and what was expected."""

    error: str
    ok: bool = False


class Json(Response):
    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        return msgspec.json.encode(content)


async def json_of_many(
    name: str, items: Iterable[msgspec.Struct], more: Mapping[str, Any] | None = None
) -> Response:
    """Return the response `{name: [items], **more}`, made in slices between which others run.

    An item is made and encoded in its turn.
    """
    parts = []
    for number, item in enumerate(items, 1):
        parts.append(msgspec.json.encode(item))
        if number % _ITEMS_PER_SLICE == 0:
            await asyncio.sleep(0)
    rest = b"".join(
        b",%b:%b" % tuple(map(msgspec.json.encode, pair)) for pair in (more or {}).items()
    )
    body = b"{%b:[%b]%b}" % (msgspec.json.encode(name), b",".join(parts), rest)
    return Response(body, media_type=Json.media_type)


async def refuse(_request: Request, exc: Exception) -> Response:
    """Return the JSON response of an HTTPException, whichever route or middleware raised it."""
    if not isinstance(exc, HTTPException):
        raise exc
    return Json(Refusal(exc.detail), exc.status_code, exc.headers)


async def ignore_disconnect(_request: Request, _exc: Exception) -> Response:
    """Return a response that nobody reads: the client left in the middle of its request."""
    return Response(status_code=400)


def url_of(request: Request, path: str) -> str:
    """Return the URL path of a route, below the prefix that a reverse proxy has for the page."""
    root_path: str = request.app.state.root_path
    return root_path + path


def hub_of(request: Request) -> Hub:
    hub: Hub = request.app.state.hub
    return hub


async def read_body(request: Request, most_bytes: int = MAX_BODY_BYTES) -> bytes:
    """Return the body. Raises HTTPException where it is longer than `most_bytes`."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > most_bytes:
            raise HTTPException(413, f"expected at most {most_bytes} bytes")
    return body


async def read_json(
    request: Request, body_type: type[T], usage: str, *, most_bytes: int = MAX_BODY_BYTES
) -> T:
    """Return the body as `body_type`. Raises HTTPException, whose message ends with `usage`."""
    body = await read_body(request, most_bytes)
    try:
        return msgspec.json.decode(body, type=body_type)
    except msgspec.ValidationError as e:
        raise HTTPException(400, f"{_mistake(body, body_type)}; expected {usage}") from e
    except _NOT_JSON as e:
        raise HTTPException(400, f"found no command: {e}; expected {usage}") from e


def _mistake(body: bytes, body_type: type[Any]) -> str:
    """Return what is wrong in a body that is no `body_type`, by its key where that is found."""
    unclear = "found no command"
    try:
        # What comes after the mistake may be no JSON.
        return first_mistake(msgspec.json.decode(body), body_type) or unclear
    except _NOT_JSON:
        return unclear


def check_node(state: State, node: str) -> None:
    """Raise HTTPException for an unknown node."""
    if node not in state.nodes:
        raise HTTPException(
            404, f"node: found {node[:70]!r}, expected one of {listed(state.nodes)}"
        )


def listed(names: Any) -> str:
    return ", ".join(names) or "none yet"
