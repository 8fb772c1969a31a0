"""`GET /metrics`: the newest value of every number that the hub knows, for Prometheus."""

from collections.abc import Iterable, Iterator

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from starlette.requests import Request
from starlette.responses import Response

from broker.embedded.statistics import BrokerSnapshot
from bus.contract.messages import Heartbeat, PluginState
from bus.contract.topics import TopicKind
from hub_app.history.recorder import HistoryStatistics
from hub_app.http.responses import hub_of
from hub_app.hub import Hub
from hub_app.live.state import ReadingView, State


async def metrics(request: Request) -> Response:
    return Response(_exposition(hub_of(request)), media_type=CONTENT_TYPE_LATEST)


def _exposition(hub: Hub) -> bytes:
    """Return every metric in the text format (Prometheus exposition format 0.0.4 or 1.0.0)."""
    registry = CollectorRegistry()
    registry.register(_Collector(hub))
    return generate_latest(registry)


class _Collector(Collector):
    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    def describe(self) -> Iterable[Metric]:
        return ()

    def collect(self) -> Iterator[Metric]:
        yield from _readings(self._hub.state)
        yield from _nodes(self._hub.state)
        yield from _plugins(self._hub.state)
        yield from _history(self._hub.history.statistics)
        snapshot = self._hub.broker.snapshot()
        if snapshot is not None:
            yield from _broker(snapshot)


def _readings(state: State) -> Iterator[Metric]:
    values = GaugeMetricFamily(
        "harvester_reading",
        "A sensor's newest value, in the unit that topics.md gives its field",
        labels=("node", "sensor", "field"),
    )
    taken = GaugeMetricFamily(
        "harvester_reading_timestamp_seconds",
        "When a sensor's newest reading was taken",
        labels=("node", "sensor"),
    )
    for entry in state.of_kind(TopicKind.READING):
        view: ReadingView = entry.value
        taken.add_metric((entry.node, entry.name), view.timestamp_ms / 1000)
        for field, value in view.data.items():
            if not isinstance(value, str):
                values.add_metric((entry.node, entry.name, field), float(value))
    yield values
    yield taken


def _nodes(state: State) -> Iterator[Metric]:
    up = GaugeMetricFamily("harvester_node_up", "Whether a node is online", labels=("node",))
    waiting = GaugeMetricFamily(
        "harvester_node_outbox_rows", "Readings that the hub has not stored yet", labels=("node",)
    )
    dropped = CounterMetricFamily(
        "harvester_node_dropped_readings", "Readings given up by a full outbox", labels=("node",)
    )
    memory = GaugeMetricFamily(
        "harvester_node_resident_memory_bytes", "Memory of a node's program", labels=("node",)
    )
    cycle = GaugeMetricFamily("harvester_node_cycle_seconds", "The last cycle", labels=("node",))
    for name in state.nodes:
        up.add_metric((name,), float(state.presence(name).presence == "online"))
    for entry in state.of_kind(TopicKind.HEARTBEAT):
        heartbeat: Heartbeat = entry.value
        waiting.add_metric((entry.node,), heartbeat.outbox_rows)
        dropped.add_metric((entry.node,), heartbeat.dropped)
        memory.add_metric((entry.node,), heartbeat.rss_mb * 1024 * 1024)
        cycle.add_metric((entry.node,), heartbeat.cycle_ms / 1000)
    yield from (up, waiting, dropped, memory, cycle)


def _plugins(state: State) -> Iterator[Metric]:
    running = GaugeMetricFamily(
        "harvester_plugin_running", "Whether a plugin runs", labels=("node", "plugin")
    )
    restarts = CounterMetricFamily(
        "harvester_plugin_restarts", "Fresh instances after faults", labels=("node", "plugin")
    )
    for entry in state.of_kind(TopicKind.PLUGIN):
        plugin: PluginState = entry.value
        running.add_metric((entry.node, entry.name), float(plugin.state == "running"))
        restarts.add_metric((entry.node, entry.name), plugin.restarts)
    yield running
    yield restarts


def _history(statistics: HistoryStatistics) -> Iterator[Metric]:
    for name, documentation, count in (
        ("stored", "Readings stored", statistics.stored),
        ("repeated", "Readings that came again", statistics.repeated),
        ("refused", "Readings that cannot be kept", statistics.refused),
    ):
        yield CounterMetricFamily(f"harvester_history_{name}_readings", documentation, value=count)
    yield GaugeMetricFamily(
        "harvester_history_up", "Whether readings are stored", value=float(not statistics.fault)
    )


def _broker(snapshot: BrokerSnapshot) -> Iterator[Metric]:
    yield GaugeMetricFamily(
        "harvester_broker_clients", "Clients connected", value=snapshot.clients.connected
    )
    messages = CounterMetricFamily(
        "harvester_broker_publish_messages", "PUBLISH packets", labels=("direction",)
    )
    messages.add_metric(("received",), snapshot.publish.received)
    messages.add_metric(("sent",), snapshot.publish.sent)
    messages.add_metric(("dropped",), snapshot.publish.dropped)
    yield messages
