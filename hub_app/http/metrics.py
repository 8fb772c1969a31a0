"""`GET /metrics`: the newest value of every number that the hub knows, for Prometheus.

The text is made in slices, between which the event loop serves the broker, and is used again for a
second. A series ends when its sensor or node is silent.
"""

import asyncio
import itertools
import time
from collections.abc import Container, Iterable, Iterator

from starlette.requests import Request
from starlette.responses import Response

from broker.embedded.statistics import BrokerSnapshot
from bus.contract.messages import Costs, Heartbeat, PluginState
from bus.contract.topics import TopicKind
from bus.files.backup_record import BackupRecord
from bus.install.version import VERSION, commit
from hub_app.alarms.metrics import families as alarm_families
from hub_app.fleet.forward.metrics import families as fleet_families
from hub_app.homeassistant.forward.metrics import families as forwarder_families
from hub_app.http.formats import sensor_metrics
from hub_app.http.formats.prometheus import (
    CONTENT_TYPE,
    ENTRIES_PER_SLICE,
    Families,
    Family,
    Sample,
    counter,
    gauge,
    lines,
)
from hub_app.hub import Hub
from hub_app.live.change import Change
from hub_app.process.supervisor import TaskStatus

_REUSE_S = 1.0
# Some 2 ms on a Raspberry Pi.
_LINES_PER_SLICE = 200


class Exposition:
    """The text of all metrics, made once a second at most however many ask."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._lock = asyncio.Lock()
        self._made_s = -_REUSE_S
        self._text = b""
        self._commit: str | None = None

    async def text(self) -> bytes:
        async with self._lock:
            if time.monotonic() - self._made_s >= _REUSE_S:
                if self._commit is None:
                    # A clone asks git, which takes a while.
                    self._commit = await asyncio.to_thread(commit)
                self._text = await in_slices([_build(self._commit), *_families(self._hub)])
                self._made_s = time.monotonic()
            return self._text


async def metrics(request: Request) -> Response:
    exposition: Exposition = request.app.state.exposition
    return Response(await exposition.text(), media_type=CONTENT_TYPE)


async def in_slices(families: list[Families]) -> bytes:
    """Return the lines of all families; other tasks run after each slice of them."""
    slices: list[bytes] = []
    for some in families:
        for family in some:
            if family is not None:
                made = lines(family)
                while part := "".join(itertools.islice(made, _LINES_PER_SLICE)):
                    slices.append(part.encode())
                    await asyncio.sleep(0)
                # Those of all families, freed at once, would hold the loop.
                family.samples.clear()
            await asyncio.sleep(0)
    return b"".join(slices)


def _families(hub: Hub) -> list[Families]:
    """Return every family. Values are those of now: what they are made of never changes."""
    state, now_ms = hub.state, hub.now_ms()
    online = {name for name in state.nodes if state.presence(name).presence == "online"}

    def of_online(kind: TopicKind) -> Iterator[Change]:
        return (entry for entry in state.of_kind(kind) if entry.node in online)

    return [
        sensor_metrics.families(state, state.of_kind(TopicKind.READING), now_ms),
        _nodes(state.nodes, online),
        _heartbeats(of_online(TopicKind.HEARTBEAT)),
        _plugins(of_online(TopicKind.PLUGIN)),
        _costs(of_online(TopicKind.COSTS)),
        _refused(hub.refusals.every()),
        _history(hub),
        _logs(hub),
        _backup(hub.alarms.facts.backup),
        _tasks(hub.supervisor.tasks),
        alarm_families(hub.alarms.active, hub.alarms.notifications),
        forwarder_families(hub.forwarder_status()),
        fleet_families(hub.fleet_status()),
        _broker(hub.broker.snapshot()),
    ]


def _build(found_commit: str) -> Iterator[Family]:
    build = gauge("harvester_build_info", "Version and commit of the hub", "version", "commit")
    build.samples.append(Sample((VERSION, found_commit), 1))
    yield build


def _nodes(names: Iterable[str], online: Container[str]) -> Families:
    up = gauge("harvester_node_up", "Whether a node is online", "node")
    for name in names:
        up.samples.append(Sample((name,), int(name in online)))
    yield up


def _heartbeats(entries: Iterable[Change]) -> Families:
    waiting = gauge(
        "harvester_node_outbox_rows", "Readings that the hub has not stored yet", "node"
    )
    dropped = counter(
        "harvester_node_dropped_readings", "Readings given up by a full outbox", "node"
    )
    memory = gauge("harvester_node_resident_memory_bytes", "Memory of a node's program", "node")
    cycle = gauge("harvester_node_cycle_seconds", "The last cycle", "node")
    for number, entry in enumerate(entries, 1):
        heartbeat: Heartbeat = entry.value
        labels = (entry.node,)
        waiting.samples.append(Sample(labels, heartbeat.outbox_rows))
        dropped.samples.append(Sample(labels, heartbeat.dropped))
        memory.samples.append(Sample(labels, heartbeat.rss_mb * 1024 * 1024))
        cycle.samples.append(Sample(labels, heartbeat.cycle_ms / 1000))
        if number % ENTRIES_PER_SLICE == 0:
            yield None
    yield from (waiting, dropped, memory, cycle)


def _plugins(entries: Iterable[Change]) -> Families:
    running = gauge("harvester_plugin_running", "Whether a plugin runs", "node", "plugin")
    failed = gauge("harvester_plugin_failed", "Whether a plugin has a fault", "node", "plugin")
    restarts = counter(
        "harvester_plugin_restarts", "Fresh instances after faults", "node", "plugin"
    )
    for number, entry in enumerate(entries, 1):
        plugin: PluginState = entry.value
        labels = (entry.node, entry.name)
        running.samples.append(Sample(labels, int(plugin.state == "running")))
        failed.samples.append(Sample(labels, int(plugin.state == "failed")))
        restarts.samples.append(Sample(labels, plugin.restarts))
        if number % ENTRIES_PER_SLICE == 0:
            yield None
    yield from (running, failed, restarts)


def _costs(entries: Iterable[Change]) -> Families:
    polls = counter("harvester_plugin_polls", "Polls of a plugin", "node", "plugin")
    failed = counter("harvester_plugin_failed_polls", "Polls that failed", "node", "plugin")
    calls = counter("harvester_plugin_host_calls", "Calls to the host", "node", "plugin")
    memory = gauge(
        "harvester_plugin_memory_bytes", "Most memory that an instance has taken", "node", "plugin"
    )
    median = gauge(
        "harvester_plugin_poll_p50_seconds", "Median of the last 512 polls", "node", "plugin"
    )
    slow = gauge(
        *("harvester_plugin_poll_p99_seconds", "99th percentile of the last 512 polls"),
        *("node", "plugin"),
    )
    for number, entry in enumerate(entries, 1):
        told: Costs = entry.value
        for name, cost in told.plugins.items():
            labels = (entry.node, name)
            polls.samples.append(Sample(labels, cost.polls))
            failed.samples.append(Sample(labels, cost.failures))
            calls.samples.append(Sample(labels, cost.host_calls))
            if cost.memory_mb is not None:
                memory.samples.append(Sample(labels, cost.memory_mb * 1024 * 1024))
            median.samples.append(Sample(labels, cost.p50_ms / 1000))
            slow.samples.append(Sample(labels, cost.p99_ms / 1000))
        if number % ENTRIES_PER_SLICE == 0:
            yield None
    yield from (polls, failed, calls, memory, median, slow)


def _refused(counts: dict[str, dict[str, int]]) -> Iterator[Family]:
    refused = counter(
        "harvester_node_refused", "Messages of a node that the hub refused", "node", "reason"
    )
    for node, reasons in counts.items():
        refused.samples.extend(Sample((node, reason), count) for reason, count in reasons.items())
    yield refused


def _history(hub: Hub) -> Iterator[Family]:
    statistics = hub.history.statistics
    for name, documentation, count in (
        ("stored", "Readings stored", statistics.stored),
        ("repeated", "Readings that came again", statistics.repeated),
        ("refused", "Readings that were not stored", statistics.refused),
    ):
        family = counter(f"harvester_history_{name}_readings", documentation)
        family.samples.append(Sample((), count))
        yield family
    up = gauge("harvester_history_up", "Whether readings are stored")
    up.samples.append(Sample((), int(not statistics.fault)))
    yield up


def _logs(hub: Hub) -> Iterator[Family]:
    statistics = hub.logs.statistics
    for name, documentation, count in (
        ("stored", "Log lines stored", statistics.stored),
        ("dropped", "Log lines given up, as the log file could not be used", statistics.dropped),
    ):
        family = counter(f"harvester_log_{name}_lines", documentation)
        family.samples.append(Sample((), count))
        yield family


def _backup(record: BackupRecord) -> Iterator[Family]:
    if record.last_ms:
        made = gauge("harvester_backup_timestamp_seconds", "Time of the last backup of the hub")
        made.samples.append(Sample((), record.last_ms / 1000))
        size = gauge("harvester_backup_size_bytes", "Size of the last backup of the hub")
        size.samples.append(Sample((), record.last_bytes))
        yield from (made, size)


def _tasks(tasks: list[TaskStatus]) -> Iterator[Family]:
    up = gauge("harvester_task_up", "Whether a task of the hub runs", "task")
    restarts = counter("harvester_task_restarts", "Restarts of a task after a fault", "task")
    for task in tasks:
        up.samples.append(Sample((task.name,), int(task.is_up)))
        restarts.samples.append(Sample((task.name,), task.restarts))
    yield from (up, restarts)


def _broker(snapshot: BrokerSnapshot | None) -> Iterator[Family]:
    if snapshot is None:
        return
    clients = gauge("harvester_broker_clients", "Clients connected")
    clients.samples.append(Sample((), snapshot.clients.connected))
    messages = counter("harvester_broker_publish_messages", "PUBLISH packets", "direction")
    for direction in ("received", "sent", "dropped"):
        count = getattr(snapshot.publish, direction)
        messages.samples.append(Sample((direction,), count))
    yield from (clients, messages)
