"""`GET /api/readings`, the newest reading of every sensor; `GET /api/sensors`, descriptions."""

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from bus.contract.description import SensorDescription
from bus.contract.messages import Value
from bus.contract.topics import TopicKind, global_sensor_id
from hub_app.http.formats.query_params import Parameter
from hub_app.http.responses import hub_of, json_of_many, listed

SENSOR = Parameter("sensor", "Id of a sensor: pi4:dht22-gpio4; default: all sensors")


class NewestReading(msgspec.Struct, frozen=True):
    """The newest reading of a sensor, whose id is `node:sensor`."""

    sensor_id: str
    timestamp_ms: int
    data: dict[str, Value]


class Readings(msgspec.Struct, frozen=True):
    """Newest readings; `last_update` is when the last one of any sensor came."""

    readings: list[NewestReading]
    last_update: int | None


class DescribedSensor(msgspec.Struct, frozen=True):
    """Description of a sensor, whose id is `node:sensor`."""

    sensor_id: str
    description: SensorDescription


class Sensors(msgspec.Struct, frozen=True):
    """Descriptions of the sensors that have one."""

    sensors: list[DescribedSensor]


async def readings(request: Request) -> Response:
    """Return the newest reading of every sensor, or of the one that `sensor` names."""
    state = hub_of(request).state
    wanted = request.query_params.get(SENSOR.name)
    entries = state.of_kind(TopicKind.READING)
    if wanted is not None:
        entries = [entry for entry in entries if entry.value.sensor_id == wanted]
        if not entries:
            known = sorted(entry.value.sensor_id for entry in state.of_kind(TopicKind.READING))
            raise HTTPException(
                404, f"sensor: found {wanted[:140]!r}, expected one of {listed(known)}"
            )
    newest = (
        NewestReading(entry.value.sensor_id, entry.value.timestamp_ms, entry.value.data)
        for entry in entries
    )
    return await json_of_many("readings", newest, {"last_update": state.last_update_ms})


async def sensors(request: Request) -> Response:
    """Return the description of every sensor that has one."""
    described = (
        DescribedSensor(global_sensor_id(entry.node, entry.name), entry.value.description)
        for entry in hub_of(request).state.of_kind(TopicKind.SENSOR)
    )
    return await json_of_many("sensors", described)
