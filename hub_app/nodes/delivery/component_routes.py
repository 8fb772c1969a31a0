"""Route of the join listener by which a node fetches a component that is ordered for it.

It also answers plain HTTP: a node uses that only where its login at the broker goes without TLS,
too. What it fetches is compared with the signed digest.
"""

import asyncio
from collections.abc import Callable
from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, Response

from bus.contract.plugin_file.component_file import COMPONENTS_PATH
from bus.errors import HarvesterError
from hub_app.http.api.operation import Answer, Operation
from hub_app.nodes.node_logins import NodeLogins

# Returns the path of a component that a node may fetch, by its digest.
Find = Callable[[str, str], Path | None]
_MEDIA_TYPE = "application/wasm"


class ComponentService:
    """Components for nodes. Its method blocks: use a thread."""

    def __init__(self, logins: NodeLogins, find: Find) -> None:
        self._logins, self._find = logins, find

    def path(self, address: str, header: str, digest: str) -> Path:
        """Return the file that a node asks for. Raises HTTPException."""
        try:
            node = self._logins.check(address, header)
        except HarvesterError as e:
            raise HTTPException(503, str(e)) from e
        path = self._find(node, digest)
        if path is None or not path.is_file():
            raise HTTPException(404, f"found no component {digest[:12]} that is for {node}")
        return path


async def send_component(request: Request) -> Response:
    """Answer with the file, or the part of it that the request's Range names."""
    service: ComponentService = request.app.state.components
    address = request.client.host if request.client else ""
    header = request.headers.get("authorization", "")
    digest = request.path_params["digest"]
    path = await asyncio.to_thread(service.path, address, header, digest)
    return FileResponse(path, media_type=_MEDIA_TYPE)


OPERATIONS = (
    Operation(
        method="GET",
        path=f"{COMPONENTS_PATH}/{{digest}}",
        endpoint=send_component,
        summary="A component that the hub has ordered for the node that asks; Range resumes it",
        group="join",
        answers={200: Answer(media={_MEDIA_TYPE: bytes}), 206: Answer(media={_MEDIA_TYPE: bytes})},
        errors=(401, 404, 429, 503),
        is_open=True,
    ),
)
