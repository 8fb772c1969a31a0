"""Nodes over HTTP."""

from bus.contract.description import About
from bus.contract.topics import Topic, TopicKind
from tests.hub_app.conftest import HubProcess
from tests.hub_app.connected_node import until
from tests.hub_app.samples import heartbeat, status


def test_nodes_tell_presence_status_and_heartbeat(hub: HubProcess) -> None:
    hub.publish(Topic("n1", TopicKind.STATUS), status())
    hub.publish(Topic("n1", TopicKind.HEARTBEAT), heartbeat())
    until(hub, "/api/nodes", '"rss_mb":42.0')
    nodes = {node["node"]: node for node in hub.http.get("/api/nodes").json()["nodes"]}
    assert nodes["n1"]["presence"] == "online"
    assert nodes["n1"]["status"]["boot_id"] == "a"
    assert nodes["n1"]["plugins"] == {}
    assert nodes["n1"]["about"] is None


def test_a_node_tells_what_it_is(hub: HubProcess) -> None:
    said = About("Board", "Kitchen", "Raspberry Pi 4", "", "", "", {}, {"fan": ["on", "off"]})
    hub.publish(Topic("n2", TopicKind.ABOUT), said)
    until(hub, "/api/nodes", '"Kitchen"')
    nodes = {node["node"]: node for node in hub.http.get("/api/nodes").json()["nodes"]}
    assert nodes["n2"]["about"]["title"] == "Board"
    assert nodes["n2"]["about"]["actuators"] == {"fan": ["on", "off"]}
