"""The [names] tables of a configuration beside the sensors that the broker knows."""

from bus.contract.description import SensorDescription
from bus.contract.messages import encode
from bus.contract.topics import Topic, TopicKind
from harvester.doctor.finding import ok
from harvester.doctor.names import name_findings
from tests.harvester.doctor.fake_machine import config
from tests.support import HOST, Listener, embedded_broker, free_port

TIMEOUT_S = 60.0


def test_a_name_of_no_sensor_is_found_with_the_one_that_was_meant() -> None:
    port = free_port()
    names = {"dht22-gpio4": {"title": "Attic"}, "dht22-gpoi17": {"title": "Cellar"}}
    named = config(broker={"url": f"mqtt://{HOST}:{port}"}, cluster={"node_id": "pi4"}, names=names)
    said = encode(SensorDescription("dht22", "", "", 2.0, {}))
    with embedded_broker(port), Listener(port) as listener:
        for sensor in ("dht22-gpio4", "dht22-gpio17"):
            topic = Topic("pi4", TopicKind.SENSOR, sensor)
            listener.publish(topic, said)
            listener.wait_topic(str(topic))
        right, wrong = name_findings(named, TIMEOUT_S)
    assert right == ok("names.dht22-gpio4", "a sensor of this node")
    assert not wrong.is_well
    assert wrong.found == "no such sensor; there are dht22-gpio17, dht22-gpio4"
    assert wrong.mend == "rename [names.dht22-gpoi17] to [names.dht22-gpio17]"


def test_without_names_nothing_is_asked() -> None:
    assert list(name_findings(config(), 0.0)) == []


def test_a_node_that_the_broker_does_not_know_has_no_wrong_name() -> None:
    named = config(broker={"url": f"mqtt://{HOST}:{free_port()}"}, names={"room": {}})
    (found,) = name_findings(named, 0.1)
    assert found.is_well
