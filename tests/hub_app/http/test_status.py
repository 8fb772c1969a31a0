"""The state of the hub over HTTP."""

import asyncio
from types import SimpleNamespace
from typing import cast

import httpx
import pytest

from bus.client.client import BusClient
from bus.contract.topics import Topic, TopicKind
from hub_app.history.recorder import HistoryStatistics, Recorder
from hub_app.http.app import create_app
from hub_app.hub import BrokerStatus, Hub
from hub_app.live.dashboard import Dashboard
from tests.hub_app.conftest import HubProcess
from tests.hub_app.connected_node import until


def test_health_tells_bus_version_and_clients(hub: HubProcess) -> None:
    answer = hub.http.get("/health")
    assert answer.status_code == 200
    assert answer.json().items() >= {"status": "ok", "bus_connected": True, "clients": 0}.items()
    assert "ok" not in answer.json()


def test_what_does_not_decode_is_counted(hub: HubProcess) -> None:
    hub.bus.publish(Topic("bad", TopicKind.LEDS), b"\x00nonsense")
    until(hub, "/health", '"harvester/bad/leds":1')


@pytest.mark.parametrize(
    ("fault", "unavailable", "status"),
    [
        ("", [], "ok"),
        ("history.db: database or disk is full", [], "degraded"),
        ("", ["192.168.7.10:8883"], "degraded"),
    ],
    ids=["all is well", "disk full", "address not there"],
)
def test_a_fault_of_the_hub_makes_it_degraded_and_is_named(
    fault: str, unavailable: list[str], status: str
) -> None:
    bus = SimpleNamespace(connected=True, problem="", publish_payload=None)
    history = SimpleNamespace(
        statistics=SimpleNamespace(fault=fault), record_alarm=None, put_many=None
    )
    broker = BrokerStatus(("127.0.0.1", 1883), unavailable_addresses=lambda: unavailable)
    hub = Hub(
        [],
        bus=cast("BusClient", bus),
        broker=broker,
        history=cast("Recorder", history),
        dashboard=cast("Dashboard", None),
    )
    assert hub.faults == [
        *(f"the broker cannot listen on {address} yet" for address in unavailable),
        *([fault] if fault else []),
    ]
    history.statistics = HistoryStatistics(0, 0, 0, 0, 0, fault)
    told = asyncio.run(health_of(hub))
    assert told.status_code == 200
    assert (told.json()["status"], told.json()["faults"]) == (status, hub.faults)


async def health_of(hub: Hub) -> httpx.Response:
    transport = httpx.ASGITransport(create_app(hub))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        return await client.get("/health")
