"""The hub's core on the event loop: state, browsers and commands, fed with decoded messages."""

import logging
import time
from collections.abc import Callable, Iterator, Sequence

import msgspec

from broker.auth.gate import Role
from broker.embedded.statistics import BrokerSnapshot
from bus.client.link import BusLink
from bus.config.limits_table import LimitsConfig
from bus.config.web_table import Card
from bus.contract.messages import Log, Message, PluginRecord, Reading, Result
from bus.contract.topics import Topic
from bus.limited_log import LimitedLog
from hub_app.alarms.monitor import AlarmMonitor, AlarmSetup
from hub_app.bus_link.ingest import Decoder
from hub_app.fleet.forward.status import FleetStatus
from hub_app.history.logs.log_recorder import LogRecorder
from hub_app.history.query import queries
from hub_app.history.query.queries import OpenQueries
from hub_app.history.recorder import Recorder
from hub_app.homeassistant.forward.status import ForwarderStatus
from hub_app.live.change import Change
from hub_app.live.commander import Commander
from hub_app.live.dashboard import Dashboard
from hub_app.live.duplicate_node_ids import DuplicateNodeIds
from hub_app.live.fanout import Fanout
from hub_app.live.hub_clock import HubClock
from hub_app.live.page_input import PageInput, page_input
from hub_app.live.state import Snapshot, State
from hub_app.live.traffic import Traffic
from hub_app.nodes.records.store import RecordStore
from hub_app.process.supervisor import Supervisor
from hub_app.quota.refusals import Reason, Refusals

logger = logging.getLogger(__name__)

# Log lines of each node in the rendered page; its event stream brings more.
_PAGE_LOG_LINES = 50
_ENCODER = msgspec.json.Encoder()
# What is refused for these is not stored either, so that nobody is told that it were.
_WITHOUT_PLACE = frozenset({Reason.NODES, Reason.SENSORS})


class BrokerStatus(msgspec.Struct, frozen=True):
    """The broker's (host, port); the rest are defaults for a broker that is not embedded.

    `connected_address` is the one of several to which the hub is connected, or which it tries.
    `unavailable_addresses` are those on which it should listen and cannot yet; `is_alive` takes
    the time within which its periodic work must have been done.
    """

    address: tuple[str, int]
    snapshot: Callable[[], BrokerSnapshot | None] = lambda: None
    unavailable_addresses: Callable[[], Sequence[str]] = lambda: ()
    is_alive: Callable[[float], bool] = lambda _patience_s: True
    # Clears the retained messages that match a filter and were stored until a time.
    clear_retained: Callable[[str, int], int] | None = None
    connected_address: Callable[[], tuple[str, int]] | None = None

    @property
    def present_address(self) -> tuple[str, int]:
        return self.address if self.connected_address is None else self.connected_address()


class Hub:
    """State, fan-out and commands. The web routes read its public attributes."""

    def __init__(  # noqa: PLR0913 - the parts that a hub consists of
        self,
        cards: Sequence[Card],
        *,
        bus: BusLink,
        broker: BrokerStatus,
        history: Recorder,
        dashboard: Dashboard,
        limits: LimitsConfig | None = None,
        refusals: Refusals | None = None,
        supervisor: Supervisor | None = None,
        alarms: AlarmSetup | None = None,
        logs: LogRecorder | None = None,
        records: RecordStore | None = None,
    ) -> None:
        limits = limits or LimitsConfig()
        self.bus = bus
        self.broker = broker
        self.history = history
        self.open_history: OpenQueries = lambda: queries.open_file(history.path)
        self.refusals = refusals or Refusals()
        self.supervisor = supervisor or Supervisor()
        self.state = State(limits, self.refusals)
        self.fanout = Fanout()
        # Take changes of the live state, with the hub's time.
        self.listeners: list[Callable[[Sequence[Change], int], None]] = [self.fanout.send]
        self.duplicate_node_ids = DuplicateNodeIds()
        self.decoder = Decoder(
            self.on_message,
            time.monotonic,
            on_removed=self.on_removed,
            refusals=self.refusals,
            record=history.put_many,
            nodes=limits.nodes,
        )
        # Takes each message of the bus.
        self.handle: Callable[[str, bytes], None] = self.decoder.handle
        self.logs = logs or LogRecorder()
        self.records = records or RecordStore()
        self.commander = Commander(bus.publish_payload)
        self.now_ms = HubClock()
        self.alarms = AlarmMonitor(
            alarms or AlarmSetup(),
            self.state,
            publish=bus.publish_payload,
            record=history.record_alarm,
            most_per_node=limits.alarms,
            on_refused=lambda node, name: self.refusals.count(node, Reason.ALARMS, name),
        )
        # None where nothing is forwarded to a broker of Home Assistant's own.
        self.forwarder_status: Callable[[], ForwarderStatus | None] = lambda: None
        # None where nothing is forwarded to a fleet.
        self.fleet_status: Callable[[], FleetStatus | None] = lambda: None
        self.started_s = time.monotonic()
        self.traffic = Traffic()
        self._log = LimitedLog(logger)
        self._cards = cards
        self._dashboard = dashboard

    def on_message(self, topic: Topic, message: Message) -> bool:
        """Take a message; return whether its node, and its sensor, have a place here."""
        now_ms = self.now_ms()
        changes = self.state.apply(topic, message, now_ms)
        self.tell(changes, now_ms)
        self.alarms.on_changes(changes, now_ms)
        if isinstance(message, Reading):
            self.duplicate_node_ids.on_reading(topic.node, message.stream, message.seq, now_ms)
        elif isinstance(message, Log):
            for change in changes:
                if isinstance(change.value, Log):
                    self.logs.put(change.node, change.value, now_ms)
        elif isinstance(message, PluginRecord):
            if self.state.refusal is None:
                self.records.put(topic.node, topic.name, message)
        elif isinstance(message, Result):
            self.commander.on_result(message)
        return self.state.refusal not in _WITHOUT_PLACE

    def on_removed(self, topic: Topic) -> None:
        """Remove a topic whose retained message was emptied."""
        now_ms = self.now_ms()
        self.tell(self.state.remove(topic), now_ms)
        self.alarms.on_removed(topic, now_ms)

    def remove_node(self, node: str) -> None:
        """Remove a node from the live state."""
        now_ms = self.now_ms()
        self.decoder.forget(node)
        self.records.remove_node(node)
        self.tell(self.state.remove_node(node), now_ms)
        self.alarms.remove_node(node, now_ms)

    def remove_reading(self, topic: Topic, until_ms: int) -> bool:
        """Remove a sensor whose last reading is not newer; return whether there was one."""
        entries = [entry for entry in self.state.of_node(topic.node) if entry.topic == str(topic)]
        if not entries or entries[0].value.at_ms > until_ms:
            return False
        self.on_removed(topic)
        return True

    def sweep(self) -> None:
        """Mark the nodes that have fallen silent; follow the machine's clock where it was set."""
        for _ in self.sweep_steps():
            pass

    def sweep_steps(self) -> Iterator[None]:
        """Sweep in short steps, between which the loop does everything else."""
        delta_ms = self.now_ms.follow()
        now_ms = self.now_ms()
        if delta_ms:
            self.tell(self.state.shift(delta_ms, now_ms), now_ms)
        self._sweep_nodes(now_ms)
        yield
        yield from self.alarms.sweep_steps(now_ms, delta_ms)
        yield
        self.duplicate_node_ids.keep_only(set(self.state.nodes))
        self.refusals.sweep()
        if self.traffic.is_due(now_ms):
            self._note_traffic(now_ms)

    def sweep_more(self) -> bool:
        """Go on with a sweep of many nodes; return whether there is still more to do."""
        now_ms = self.now_ms()
        if self.state.has_due(now_ms):
            self._sweep_nodes(now_ms)
        return self.state.has_due(now_ms)

    def _sweep_nodes(self, now_ms: int) -> None:
        changes = self.state.sweep(now_ms)
        self.tell(changes, now_ms)
        self.alarms.on_changes(changes, now_ms)

    def _note_traffic(self, now_ms: int) -> None:
        snapshot = self.broker.snapshot()
        if snapshot is not None:
            self.traffic.add(snapshot, now_ms)

    def tell(self, changes: Sequence[Change], now_ms: int) -> None:
        """Tell all listeners; one that fails keeps nothing from the others, nor from the alarms."""
        for take in self.listeners:
            try:
                take(changes, now_ms)
            except Exception:  # noqa: BLE001 - the changes of a sweep are of many nodes, and come once
                self._log.exception(repr(take), "%r failed at changes of the live state", take)

    @property
    def faults(self) -> list[str]:
        """What does not work although the hub runs, one sentence each."""
        faults = [
            f"the broker cannot listen on {address} yet"
            for address in self.broker.unavailable_addresses()
        ]
        if not self.bus.connected:
            faults.append("the hub is not connected to the broker")
        elif self.bus.problem:
            faults.append(self.bus.problem)
        if self.history.statistics.fault:
            faults.append(self.history.statistics.fault)
        if self.logs.statistics.fault:
            faults.append(self.logs.statistics.fault)
        faults += self.alarms.faults
        fleet = self.fleet_status()
        if fleet is not None and fleet.fault:
            faults.append(fleet.fault)
        faults += [
            f"{task.name} failed and is started again: {task.last_error}"
            for task in self.supervisor.tasks
            if not task.is_up
        ]
        return faults

    async def page(self, role: Role | None = None, root_path: str = "") -> str:
        """Return the page as HTML for a visitor with `role`. Raises PageUnavailableError."""
        shape = (self.state.shape, role, root_path)
        # The input is made of it on the thread, as that takes a while for a fleet.
        snapshot = self.state.snapshot(self.now_ms(), _PAGE_LOG_LINES)
        return await self._dashboard.render(
            shape, lambda: _ENCODER.encode(self._page(snapshot, role, root_path)).decode()
        )

    def _page(self, snapshot: Snapshot, role: Role | None, root_path: str) -> PageInput:
        """Return the input of the dashboard plugin. On the dashboard's thread."""
        return page_input(snapshot, self._cards, role, root_path)
