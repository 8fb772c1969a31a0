"""Local link: the hub's connection to its own broker, without a socket."""

import asyncio
import threading
from collections.abc import Sequence

import pytest

from broker import local_link
from broker.auth.gate import Identity, Role
from broker.local_link import LocalLink
from bus.client.link import RawMessage
from bus.contract.messages import Stored
from bus.contract.topics import Topic, TopicKind
from tests.broker.embedded.raw import PUBACK, publish
from tests.broker.embedded.running import Running, running
from tests.support import WAIT_S, OpenGate


class Hub:
    """A link of the hub, what it received, and whether publishers have to wait."""

    def __init__(self, broker: Running) -> None:
        self._changed = threading.Condition()
        self._received: list[RawMessage] = []
        # The sizes of the batches.
        self.batches: list[int] = []
        self._broker = broker
        self.room: asyncio.Future[bool] | None = None
        self.link: LocalLink = broker.call(self._open)

    def _open(self) -> LocalLink:
        link = self._broker.broker.link(  # type: ignore[union-attr]
            Identity("hub_app", Role.HUB),
            on_messages=self._on_messages,
            room_for=lambda _topic: self.room,
        )
        link.start()
        return link

    def _on_messages(self, messages: Sequence[RawMessage]) -> None:
        with self._changed:
            self._received += messages
            self.batches.append(len(messages))
            self._changed.notify_all()

    def wait_for(self, count: int) -> list[RawMessage]:
        with self._changed:
            assert self._changed.wait_for(lambda: len(self._received) >= count, WAIT_S)
            return list(self._received)

    def hold(self) -> None:
        self.room = self._broker.loop.create_future()

    def release(self) -> None:
        room, self.room = self.room, None
        assert room is not None
        room.set_result(True)


def test_the_hub_hears_retained_and_live_messages_in_order() -> None:
    with running() as broker:
        node = broker.client("pi4")
        node.publish("harvester/pi4/status", b"kept", retain=True)
        hub = Hub(broker)
        for n in range(500):
            node.publish("harvester/pi4/readings/x", b"%d" % n)
        node.publish("other/topic", b"not for the hub")
        heard = hub.wait_for(501)
        assert heard[0] == ("harvester/pi4/status", b"kept")
        assert [payload for _, payload in heard[1:]] == [b"%d" % n for n in range(500)]
        hub.link.stop()


def test_many_messages_are_passed_on_in_batches_in_order() -> None:
    with running() as broker:
        hub = Hub(broker)

        def put_many() -> None:
            for n in range(5000):
                hub.link.put("harvester/pi4/readings/x", b"%d" % n)

        broker.call(put_many)
        assert [payload for _, payload in hub.wait_for(5000)] == [b"%d" % n for n in range(5000)]
        assert max(hub.batches) == 500
        hub.link.stop()


def test_a_message_after_a_pause_is_passed_on_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    # Whoever comes after the first one would wait for an hour.
    monkeypatch.setattr(local_link, "BATCH_S", 3600.0)
    with running() as broker:
        hub = Hub(broker)
        broker.call(lambda: hub.link.put("harvester/pi4/readings/x", b"1"))
        assert hub.wait_for(1) == [("harvester/pi4/readings/x", b"1")]
        hub.link.stop()


def test_a_full_batch_is_passed_on_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local_link, "BATCH_S", 3600.0)
    with running() as broker:
        hub = Hub(broker)
        broker.call(lambda: hub.link.put("harvester/pi4/readings/x", b"1"))
        hub.wait_for(1)

        def put_many() -> None:
            for n in range(501):
                hub.link.put("harvester/pi4/readings/x", b"%d" % n)

        broker.call(put_many)
        hub.wait_for(502)
        assert hub.batches == [1, 500, 1]
        hub.link.stop()


def test_topics_of_other_peoples_devices_are_passed_over_and_never_wait() -> None:
    with running() as broker:
        device = broker.client("plug")
        device.publish("homeassistant/sensor/0x1/config", b"kept", retain=True)
        device.publish("homeassistant/sensor/harvester_pi4_x/config", b"own", retain=True)
        hub = Hub(broker)
        hub.hold()
        for topic in ("zigbee2mqtt/pi4/state", "homeassistant/sensor/0x1/config"):
            device.publish(topic, b"x")
        device.publish("homeassistant/status", b"online")
        assert hub.wait_for(2) == [
            ("homeassistant/sensor/harvester_pi4_x/config", b"own"),
            ("homeassistant/status", b"online"),
        ]
        hub.release()
        hub.link.stop()


class ClosingGate(OpenGate):
    """Lets everybody in, and nobody receive once it is closed."""

    generation = 0

    def may_receive(self, _identity: Identity, _topic: str) -> bool:
        return not self.generation


def test_the_hub_hears_no_more_of_a_topic_when_it_loses_the_right_to() -> None:
    gate = ClosingGate()
    with running(gate) as broker:
        node = broker.client("pi4")
        hub = Hub(broker)
        node.publish("harvester/pi4/readings/x", b"before")
        assert hub.wait_for(1) == [("harvester/pi4/readings/x", b"before")]
        gate.generation = 1
        node.publish("harvester/pi4/readings/x", b"hidden")
        gate.generation = 0
        node.publish("harvester/pi4/readings/x", b"after")
        assert [payload for _, payload in hub.wait_for(2)] == [b"before", b"after"]
        hub.link.stop()


def test_what_any_thread_publishes_goes_to_subscribers_in_order() -> None:
    with running() as broker:
        node = broker.client("pi4")
        node.subscribe(("harvester/pi4/stored", 1))
        hub = Hub(broker)
        for n in range(300):
            handle = hub.link.publish(Topic("pi4", TopicKind.STORED), Stored("s", [(n, n)]))
            assert handle == n + 1
        hub.link.stop()
        taken = node.take(300)
        assert [b"[%d,%d]" % (n, n) in taken[n].payload for n in range(300)] == [True] * 300
        assert hub.link.publish(Topic("pi4", TopicKind.STORED), Stored("s", [])) is None


def test_a_publisher_waits_while_the_hub_cannot_take_more() -> None:
    with running() as broker:
        hub = Hub(broker)
        flooder = broker.client("flooder")
        broker.call(hub.hold)
        flooder.send(
            b"".join(publish("harvester/pi4/x", b"%d" % n, 1, packet_id=n + 1) for n in range(50))
        )
        # A client that is held back is still answered.
        flooder.ping()
        assert hub.wait_for(1) == [("harvester/pi4/x", b"0")]
        broker.call(hub.release)
        for _ in range(50):
            flooder.expect(PUBACK)
        assert len(hub.wait_for(50)) == 50
        hub.link.stop()


def test_a_flood_at_qos_0_stays_in_the_sender_s_socket() -> None:
    with running() as broker:
        hub = Hub(broker)
        flooder = broker.client("flooder")
        broker.call(hub.hold)
        message = publish("harvester/pi4/x", b"x" * 1_000)
        flooder.sock.settimeout(1.0)
        sent = 0
        try:
            while sent < 100_000_000:
                sent += flooder.sock.send(message * 100)
        except TimeoutError:
            pass
        assert sent < 100_000_000
        assert len(hub.wait_for(1)) == 1
        broker.client("bystander").ping()
        broker.call(hub.release)
        hub.wait_for(50)
        hub.link.stop()


def test_bundles_for_nodes_count_for_no_quota_of_the_hub() -> None:
    with running(retained_kb_per_user=1) as broker:
        hub = Hub(broker)
        topics = [Topic("pi4", kind, "room") for kind in (TopicKind.BUNDLE, TopicKind.ALARM)]
        for topic in topics:
            hub.link.publish_payload(topic, b"x" * 2000)
        hub.wait_for(2)
        later = Hub(broker)
        assert later.wait_for(1) == [("harvester/pi4/bundles/room", b"x" * 2000)]
        for one in (hub, later):
            one.link.stop()
