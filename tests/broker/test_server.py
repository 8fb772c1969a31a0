"""The embedded broker's listeners, from their opening to their end."""

import asyncio
import socket

import pytest

from broker import server
from broker.auth.gate import Identity, Role
from broker.embedded.net.listener import Listener
from broker.server import EmbeddedBroker
from bus.client.link import WireMessage
from bus.config.broker_table import BrokerConfig
from bus.errors import MisconfiguredError
from harvester.hub.open_broker import OpenGate
from tests.broker.embedded.raw import publish
from tests.broker.embedded.running import running
from tests.support import HOST, WAIT_S, free_port

PATIENCE_S = 10.0


async def connects(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection(HOST, port)
    except OSError:
        return False
    writer.close()
    return True


async def wait_until_joined(broker: EmbeddedBroker) -> None:
    async with asyncio.timeout(WAIT_S):
        while broker.unavailable_addresses:  # noqa: ASYNC110 - it tells nobody
            await asyncio.sleep(0.02)


def test_a_listener_whose_port_is_taken_joins_the_others_later() -> None:
    ports = free_port(), free_port()
    listeners = [Listener(HOST, port) for port in ports]

    async def serve() -> None:
        broker = EmbeddedBroker(BrokerConfig(), OpenGate(), listeners=listeners)
        with socket.create_server((HOST, ports[1])):
            await broker.start()
            assert broker.unavailable_addresses == [f"{HOST}:{ports[1]}"]
            assert await connects(ports[0])
        await wait_until_joined(broker)
        assert await connects(ports[1])
        assert broker.is_alive(PATIENCE_S)
        await broker.stop()
        assert not await connects(ports[1])
        assert not broker.is_alive(PATIENCE_S)

    asyncio.run(serve())


def test_a_broker_stops_while_a_listener_waits() -> None:
    async def serve() -> None:
        waiting = [Listener(HOST, free_port()), Listener("192.0.2.1", free_port())]
        broker = EmbeddedBroker(BrokerConfig(), OpenGate(), listeners=waiting)
        await broker.start()
        await broker.stop()
        assert broker.unavailable_addresses == []
        assert len(asyncio.all_tasks()) == 1

    asyncio.run(serve())


def test_a_second_address_that_is_none_is_not_waited_for() -> None:
    async def serve() -> None:
        wrong = [Listener(HOST, free_port()), Listener("300.1.1.1", 1, key="broker.listen")]
        with pytest.raises(MisconfiguredError, match=r"^broker\.listen: "):
            await EmbeddedBroker(BrokerConfig(), OpenGate(), listeners=wrong).start()

    asyncio.run(serve())


def test_a_broker_that_was_only_opened_gives_its_address_back() -> None:
    port = free_port()

    async def serve() -> None:
        broker = EmbeddedBroker(BrokerConfig(), OpenGate(), listeners=[Listener(HOST, port)])
        await broker.open()
        assert await connects(port)
        await broker.stop()
        assert not await connects(port)

    asyncio.run(serve())


def test_a_broker_that_receives_no_more_still_delivers_and_ends_nobody() -> None:
    with running() as it:
        late = it.client("late", will=("harvester/pi4/x", b"will", 0, False))
        ears = it.client("ears")
        ears.subscribe(("harvester/pi4/x", 0))
        broker = it.broker
        assert isinstance(broker, EmbeddedBroker)
        it.run(broker.stop_receiving())
        late.send(publish("harvester/pi4/x", b"late", 1) + publish("harvester/pi4/x", b"late", 2))
        late.sock.shutdown(socket.SHUT_WR)
        assert not it.run(connects(it.port))
        hub = it.call(
            lambda: broker.link(
                Identity("hub", Role.HUB), on_messages=lambda _: None, room_for=lambda _: None
            )
        )
        it.call(hub.start)
        hub.publish_wire(WireMessage("harvester/pi4/x", b"from the hub"))
        assert ears.receive().payload == b"from the hub"
        assert it.call(lambda: broker.is_alive(PATIENCE_S))
        hub.stop()
        it.run(broker.stop())
        # Nothing of what came late, neither an answer nor a message.
        assert ears.receive().payload == b"will"
        assert ears.read() is None
        assert late.read() is None


def test_a_broker_that_has_no_time_to_stop_gives_its_address_back(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(server, "_STOP_S", 0.0)
    port = free_port()

    async def serve() -> None:
        broker = EmbeddedBroker(BrokerConfig(), OpenGate(), listeners=[Listener(HOST, port)])
        await broker.start()
        await broker.stop()
        assert not await connects(port)

    asyncio.run(serve())
    assert "did not stop" in caplog.text
