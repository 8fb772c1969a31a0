import json

import pytest

from bus.contract.messages import Fan, Reading, Status, encode
from bus.contract.topics import Topic, TopicKind
from bus.errors import BadDataError
from node_agent.plugins.bus_view import BusView


def test_it_tells_readings_and_roles_as_http_does() -> None:
    view = BusView()
    reading = Reading("pi4", "room", 7, "s", 0, {"temperature": 21.5})
    view.hear(Topic("pi4", TopicKind.READING, "room"), encode(reading))
    view.hear(Topic("revpi", TopicKind.STATUS), encode(Status("online", "hub", "1", "b", 1)))
    assert json.loads(view.as_json()) == {
        "readings": [{"sensor_id": "pi4:room", "timestamp_ms": 7, "data": {"temperature": 21.5}}],
        "last_update": 7,
        "nodes": {"revpi": {"role": "hub", "state": "online"}},
    }


def test_anything_else_is_refused() -> None:
    view = BusView()
    with pytest.raises(BadDataError):
        view.hear(Topic("pi4", TopicKind.FAN), encode(Fan(on=True, mode="on")))
    with pytest.raises(BadDataError):
        view.hear(Topic("pi4", TopicKind.READING, "room"), b"{")
