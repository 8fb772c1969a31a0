"""The state of the hub over HTTP."""

from bus.contract.topics import Topic, TopicKind
from tests.hub_app.conftest import HubProcess
from tests.hub_app.nodes import until


def test_health_tells_bus_version_and_clients(hub: HubProcess) -> None:
    answer = hub.http.get("/health")
    assert answer.status_code == 200
    assert answer.json().items() >= {"status": "ok", "bus_connected": True, "clients": 0}.items()
    assert "ok" not in answer.json()


def test_what_does_not_decode_is_counted(hub: HubProcess) -> None:
    hub.bus.publish(Topic("bad", TopicKind.LEDS), b"\x00nonsense")
    until(hub, "/health", '"harvester/bad/leds":1')
