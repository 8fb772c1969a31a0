"""`POST /api/nodes/{node}/remove` and `/rename`, `POST /api/sensors/{sensor}/remove`."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from broker.auth import bundle_key
from bus.client import credentials
from bus.client.credentials import Credentials
from bus.contract.bounds import Name
from bus.contract.topics import TopicKind, global_sensor_id
from bus.errors import MisconfiguredError
from hub_app.http.responses import Json, hub_of, read_json
from hub_app.hub import Hub
from hub_app.nodes.removal import removals
from hub_app.nodes.removal.remover import Remover

T = TypeVar("T")

_REMOVE_USAGE = '{} or {"history": true}, which deletes what is stored, too'
_RENAME_USAGE = '{"to": "garden"}'


class RemoveBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of a removal."""

    history: bool = False


class RenameBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of POST /api/nodes/{node}/rename."""

    to: Name


class NodeRemoved(msgspec.Struct, frozen=True):
    """The node that was removed; `history`: its stored readings, too."""

    node: str
    history: bool
    ok: bool = True


class SensorRemoved(msgspec.Struct, frozen=True):
    """The sensor that was removed; `history`: its stored readings, too."""

    sensor: str
    history: bool
    ok: bool = True


class NodeRenamed(msgspec.Struct, frozen=True):
    """The node's new name and its old one; `credentials` is the file of its new login."""

    node: str
    was: str
    credentials: str
    ok: bool = True


async def remove_node(request: Request) -> Response:
    body = await read_json(request, RemoveBody, _REMOVE_USAGE)
    hub, remover = _parts(request)
    node = request.path_params["node"]
    seen = hub.state.nodes
    await _write(
        lambda: removals.remove_node(
            [remover.path],
            remover.accounts_path,
            node,
            history=body.history,
            own_node=remover.own_node,
            seen=seen,
        )
    )
    remover.run(hub)
    return Json(NodeRemoved(node, body.history))


async def remove_sensor(request: Request) -> Response:
    body = await read_json(request, RemoveBody, _REMOVE_USAGE)
    hub, remover = _parts(request)
    name = request.path_params["sensor"]
    node, _, sensor = name.partition(":")
    seen = {
        global_sensor_id(entry.node, entry.name) for entry in hub.state.of_kind(TopicKind.READING)
    }
    await _write(
        lambda: removals.remove_sensor(
            [remover.path], node, sensor, history=body.history, seen=seen
        )
    )
    remover.run(hub)
    return Json(SensorRemoved(name, body.history))


async def rename_node(request: Request) -> Response:
    """Rename a node. Its new login is a file at the hub, to copy: a token is in no answer."""
    body = await read_json(request, RenameBody, _RENAME_USAGE)
    hub, remover = _parts(request)
    node = request.path_params["node"]
    file = remover.path.parent / f"credentials-{body.to}.toml"

    def rename() -> None:
        token = removals.rename_node(
            [remover.path], remover.accounts_path, node, body.to, own_node=remover.own_node
        )
        key = bundle_key.ensure(remover.accounts_path.parent)
        credentials.save(file, Credentials(username=body.to, token=token, bundle_key=key))

    await _write(rename)
    remover.run(hub)
    return Json(NodeRenamed(body.to, node, str(file)))


def _parts(request: Request) -> tuple[Hub, Remover]:
    remover: Remover | None = request.app.state.remover
    if remover is None:
        raise HTTPException(503, "this hub keeps no list of removals")
    return hub_of(request), remover


async def _write(change: Callable[[], T]) -> T:
    """Change files in a thread: they are brought to the disk."""
    try:
        return await asyncio.to_thread(change)
    except MisconfiguredError as e:
        raise HTTPException(400, str(e)) from e
