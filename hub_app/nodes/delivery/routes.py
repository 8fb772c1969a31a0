"""`/api/deliveries`: versions of plugins at the nodes, rollouts, and the way back."""

import asyncio
import base64
import contextlib
from collections.abc import Iterator
from http import HTTPStatus
from typing import Annotated

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from bus.clock import now_ms
from bus.contract.bounds import MAX_BUNDLE_BYTES, Name, OptionalName, Word
from bus.contract.description import PluginDescription
from bus.contract.plugin_file import bundle
from bus.contract.plugin_file.bundle import Bundle, Module
from bus.contract.plugin_file.order import DEFAULT_PROBATION, Probation
from bus.errors import MisconfiguredError
from hub_app.http.responses import Json, read_json
from hub_app.nodes.delivery import report, rollout, wanted
from hub_app.nodes.delivery.deliverer import Deliverer
from hub_app.nodes.delivery.delivery_files import COMPONENT_ADVICE, check_bundle
from hub_app.nodes.delivery.report import PluginVersion, RolloutReport
from hub_app.nodes.delivery.rollout import Rollout, Target

_DEPLOY_USAGE = (
    '{"plugin": "dht22", "bundle": "<base64>"} with "nodes": ["pi4"], "area": "Cellar" or '
    '"all": true; "canary": "pi4" and "polls": 30 where wanted'
)
_BACK_USAGE = '{"plugin": "dht22"} with "nodes": ["pi4"], "area": "Cellar" or "all": true'
_PROMOTE_USAGE = '{"plugin": "dht22", "nodes": ["pi4"]}'
_BUNDLE = bundle.encode(
    Bundle(
        *("sensor-plugin", [], ["sensor-logic"]),
        description=PluginDescription(title="Room"),
        modules={bundle.MAIN: Module("0/app.py", "")},
    )
)
EXAMPLE = {"plugin": "dht22", "bundle": base64.b64encode(_BUNDLE).decode(), "nodes": ["pi4"]}
# The bundle in base64, and the rest.
_MAX_BODY_BYTES = MAX_BUNDLE_BYTES * 4 // 3 + 8192


class Where(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The nodes of a rollout: by name, of an area, or all that run the plugin."""

    plugin: Name
    nodes: Annotated[list[Name], msgspec.Meta(max_length=5000)] = []
    area: Word = ""
    all: bool = False


class DeployBody(Where, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The body of POST /api/deliveries. `polls` are the good ones until the version is kept.

    A `shadow` only polls beside the version that runs.
    """

    bundle: Annotated[bytes, msgspec.Meta(min_length=1)]
    canary: OptionalName = ""
    polls: Probation = DEFAULT_PROBATION
    shadow: bool = False


class Versions(msgspec.Struct, frozen=True):
    """Each plugin at each node, and the last rollout of each plugin."""

    plugins: list[PluginVersion]
    rollouts: list[RolloutReport]
    fault: str = ""
    ok: bool = True


async def versions(request: Request) -> Response:
    return Json(await _versions(_deliverer(request)))


async def deploy(request: Request) -> Response:
    try:
        body = await read_json(request, DeployBody, _DEPLOY_USAGE, most_bytes=_MAX_BODY_BYTES)
    except HTTPException as e:
        if e.status_code == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
            raise HTTPException(e.status_code, f"{e.detail}; {COMPONENT_ADVICE}") from e
        raise
    deliverer = _deliverer(request)

    def target() -> Target:
        said = check_bundle(body.bundle, f"bundle of {body.plugin}")
        digest = deliverer.files.keep_bundle(body.bundle)
        version = said.description.version
        return Target(digest, version, said.world, body.polls, is_shadow=body.shadow)

    with _mistakes_told():
        made = _rollout(body, target=await asyncio.to_thread(target), canary=body.canary)
        await deliverer.start(made)
    return Json(await _versions(deliverer))


async def roll_back(request: Request) -> Response:
    body = await read_json(request, Where, _BACK_USAGE)
    deliverer = _deliverer(request)
    with _mistakes_told():
        await deliverer.start(_rollout(body, action="rollback"))
    return Json(await _versions(deliverer))


async def promote(request: Request) -> Response:
    """Deploy the version that is in the shadow of the running one at the named nodes."""
    body = await read_json(request, Where, _PROMOTE_USAGE)
    deliverer = _deliverer(request)
    with _mistakes_told():
        target = wanted.shadow_at(deliverer.found, body.plugin, body.nodes)
        await deliverer.start(_rollout(body, target=target))
    return Json(await _versions(deliverer))


@contextlib.contextmanager
def _mistakes_told() -> Iterator[None]:
    """Answer a request for what cannot be with status 400 and the reason."""
    try:
        yield
    except MisconfiguredError as e:
        raise HTTPException(400, str(e)) from e


def _rollout(where: Where, **more: object) -> Rollout:
    made = Rollout(plugin=where.plugin, started_ms=now_ms(), area=where.area, is_all=where.all)
    return rollout.for_nodes(msgspec.structs.replace(made, **more), where.nodes)


async def _versions(deliverer: Deliverer) -> Versions:
    found = deliverer.found
    return Versions(
        await report.plugins(found, deliverer.state),
        [report.rollout(one) for one in found.rollouts.values()],
        deliverer.fault,
    )


def _deliverer(request: Request) -> Deliverer:
    deliverer: Deliverer | None = request.app.state.deliverer
    if deliverer is None:
        raise HTTPException(503, "this hub delivers no plugins")
    return deliverer
