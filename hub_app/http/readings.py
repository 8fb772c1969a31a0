"""`GET /api/readings`: the newest reading of every sensor."""

from starlette.requests import Request
from starlette.responses import Response

from bus.contract.topics import TopicKind
from hub_app.http.responses import Json, hub_of


async def readings(request: Request) -> Response:
    state = hub_of(request).state
    newest = [
        {
            "sensor_id": entry.value.sensor_id,
            "timestamp_ms": entry.value.timestamp_ms,
            "data": entry.value.data,
        }
        for entry in state.of_kind(TopicKind.READING)
    ]
    return Json({"readings": newest, "last_update": state.last_update_ms})
