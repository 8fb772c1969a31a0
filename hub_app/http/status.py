"""`GET /health` and `GET /api/broker`: the state of the hub itself and of its broker."""

import time
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from bus.install.version import VERSION
from hub_app.http.responses import Json, hub_of
from hub_app.hub import Hub


async def health(request: Request) -> Response:
    """Answer 200, or 503 without a bus. Faults and counters are for those who are logged in."""
    hub = hub_of(request)
    is_connected = hub.bus.connected
    fields: dict[str, Any] = {
        "status": "degraded" if hub.faults else "ok",
        "bus_connected": is_connected,
        "uptime_s": round(time.monotonic() - hub.started_s, 1),
        "version": VERSION,
    }
    # A watchdog has no session, and needs none of the counters.
    if request.state.visitor is not None:
        fields |= _counters(hub)
    return Json(fields, 200 if is_connected else 503)


async def broker(request: Request) -> Response:
    """Return the broker's address and, for the embedded one, its limits and counters."""
    hub = hub_of(request)
    host, port = hub.broker.address
    snapshot = hub.broker.snapshot()
    fields = {
        "embedded": snapshot is not None,
        "connected": hub.bus.connected,
        "host": host,
        "port": port,
    }
    return Json(fields | msgspec.structs.asdict(snapshot) if snapshot is not None else fields)


def _counters(hub: Hub) -> dict[str, Any]:
    return {
        "faults": hub.faults,
        "clients": len(hub.fanout),
        "nodes": len(hub.state.nodes),
        "refused": hub.state.refused,
        "outdated": hub.state.outdated,
        "undecodable": hub.decoder.undecodable,
        "history": hub.history.statistics,
        "logs": hub.logs.statistics,
        "tasks": hub.supervisor.tasks,
        "alarms": len(hub.alarms.active),
        "notifications": hub.alarms.notifications,
    }
