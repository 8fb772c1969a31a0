"""`GET /api/readings`, the newest reading of every sensor; `GET /api/sensors`, descriptions."""

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from bus.contract.topics import TopicKind, global_sensor_id
from hub_app.http.responses import Json, hub_of, listed


async def readings(request: Request) -> Response:
    """Return the newest reading of every sensor, or of the one that `sensor` names."""
    state = hub_of(request).state
    wanted = request.query_params.get("sensor")
    known = {entry.value.sensor_id for entry in state.of_kind(TopicKind.READING)}
    if wanted is not None and wanted not in known:
        raise HTTPException(
            404, f"sensor: found {wanted[:140]!r}, expected one of {listed(sorted(known))}"
        )
    newest = [
        {
            "sensor_id": entry.value.sensor_id,
            "timestamp_ms": entry.value.timestamp_ms,
            "data": entry.value.data,
        }
        for entry in state.of_kind(TopicKind.READING)
        if wanted in (None, entry.value.sensor_id)
    ]
    return Json({"readings": newest, "last_update": state.last_update_ms})


async def sensors(request: Request) -> Response:
    """Return the description of every sensor that has one."""
    described = [
        {
            "sensor_id": global_sensor_id(entry.node, entry.name),
            "description": entry.value.description,
        }
        for entry in hub_of(request).state.of_kind(TopicKind.SENSOR)
    ]
    return Json({"sensors": described})
