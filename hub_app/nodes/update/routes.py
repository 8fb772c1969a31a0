"""`/api/updates`: the last round of node updates, and the beginning of another one."""

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from bus.contract.bounds import Name, OptionalName
from bus.errors import MisconfiguredError
from hub_app.http.responses import Json, read_json
from hub_app.nodes.update.round import NodeUpdate, Round
from hub_app.nodes.update.updater import NodeUpdater

_USAGE = '{} for all nodes, or {"nodes": ["pi4", "pizero"], "canary": "pi4"}'


class UpdateBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of POST /api/updates. The canary is updated first, the rest if it was kept."""

    nodes: list[Name] = []
    canary: OptionalName = ""


class NodeProgress(msgspec.Struct, frozen=True):
    """A node in the round; `phase` is what it told last, `reason` why it failed."""

    node: str
    progress: str
    phase: str
    reason: str


class Updates(msgspec.Struct, frozen=True):
    """The last round, empty where there was none; `stopped` says why it goes no further."""

    started_ms: int
    canary: str
    stopped: str
    is_over: bool
    nodes: list[NodeProgress]
    ok: bool = True


async def updates(request: Request) -> Response:
    return Json(view_of(_updater(request).round))


async def start_updates(request: Request) -> Response:
    body = await read_json(request, UpdateBody, _USAGE)
    try:
        return Json(view_of(await _updater(request).start(body.nodes, body.canary)))
    except MisconfiguredError as e:
        raise HTTPException(400, str(e)) from e


def view_of(found: Round) -> Updates:
    nodes = [_progress(name, node) for name, node in found.nodes.items()]
    return Updates(found.started_ms, found.canary, found.stopped, found.is_over, nodes)


def _progress(name: str, node: NodeUpdate) -> NodeProgress:
    return NodeProgress(name, node.progress, node.phase, node.reason)


def _updater(request: Request) -> NodeUpdater:
    updater: NodeUpdater | None = request.app.state.updater
    if updater is None:
        raise HTTPException(503, "this hub updates no nodes")
    return updater
