"""`GET /health` and `GET /api/broker`: the state of the hub itself and of its broker."""

import time
from typing import Any, Literal

import msgspec
from msgspec import UNSET, UnsetType
from starlette.requests import Request
from starlette.responses import Response

from broker.embedded.statistics import BrokerSnapshot
from bus.install.version import VERSION
from hub_app.alarms.notifier import AddressStatus
from hub_app.fleet.forward.status import FleetStatus
from hub_app.history.logs.log_recorder import LogStatistics
from hub_app.history.recorder import HistoryStatistics
from hub_app.homeassistant.forward.status import ForwarderStatus
from hub_app.http.responses import Json, hub_of
from hub_app.hub import Hub
from hub_app.process.supervisor import TaskStatus


class Health(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """State of the hub. The fields from `faults` on are for those who are logged in."""

    status: Literal["ok", "degraded"]
    bus_connected: bool
    uptime_s: float
    version: str
    faults: list[str] | UnsetType = UNSET
    clients: int | UnsetType = UNSET
    nodes: int | UnsetType = UNSET
    refused: int | UnsetType = UNSET
    outdated: int | UnsetType = UNSET
    undecodable: dict[str, int] | UnsetType = UNSET
    history: HistoryStatistics | UnsetType = UNSET
    logs: LogStatistics | UnsetType = UNSET
    tasks: list[TaskStatus] | UnsetType = UNSET
    alarms: int | UnsetType = UNSET
    notifications: list[AddressStatus] | UnsetType = UNSET
    # Of a hub that forwards to a broker of Home Assistant's own.
    homeassistant: ForwarderStatus | UnsetType = UNSET
    # Of a hub that forwards its history to a fleet.
    fleet: FleetStatus | UnsetType = UNSET


class ExternalBroker(msgspec.Struct, frozen=True):
    """Address of a broker that is another program, and the hub's connection to it."""

    embedded: bool
    connected: bool
    host: str
    port: int


class EmbeddedBroker(BrokerSnapshot, frozen=True, kw_only=True):
    """Figures of the hub's own broker, with its address."""

    embedded: bool
    connected: bool
    host: str
    port: int


async def health(request: Request) -> Response:
    """Answer 200, or 503 without a bus. Faults and counters are for those who are logged in."""
    hub = hub_of(request)
    is_connected = hub.bus.connected
    found = Health(
        status="degraded" if hub.faults else "ok",
        bus_connected=is_connected,
        uptime_s=round(time.monotonic() - hub.started_s, 1),
        version=VERSION,
    )
    # A watchdog has no session, and needs none of the counters.
    if request.state.visitor is not None:
        found = msgspec.structs.replace(found, **_counters(hub))
    return Json(found, 200 if is_connected else 503)


async def broker(request: Request) -> Response:
    """Return the broker's address and, for the embedded one, its limits and counters."""
    hub = hub_of(request)
    host, port = hub.broker.present_address
    snapshot = hub.broker.snapshot()
    where = ExternalBroker(snapshot is not None, hub.bus.connected, host, port)
    if snapshot is None:
        return Json(where)
    fields = msgspec.structs.asdict(snapshot) | msgspec.structs.asdict(where)
    return Json(EmbeddedBroker(**fields))


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
        "homeassistant": hub.forwarder_status() or UNSET,
        "fleet": hub.fleet_status() or UNSET,
    }
