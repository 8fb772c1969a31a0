"""`GET /api/nodes/{node}/plugins/{plugin}/record`: the newest record of a plugin, as a file."""

import asyncio

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from hub_app.http.responses import hub_of

MEDIA_TYPE = "application/octet-stream"


def path_of(node: str, plugin: str) -> str:
    return f"/api/nodes/{node}/plugins/{plugin}/record"


async def record(request: Request) -> Response:
    node, plugin = request.path_params["node"], request.path_params["plugin"]
    content = await asyncio.to_thread(hub_of(request).records.content, node, plugin)
    if content is None:
        raise HTTPException(404, f"{node} has sent no record of {plugin}")
    name = f"{node}-{plugin}.record"
    headers = {
        "Cache-Control": "no-store",
        "Content-Disposition": f'attachment; filename="{name}"',
    }
    return Response(content, headers=headers, media_type=MEDIA_TYPE)
