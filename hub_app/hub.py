"""The hub's core on the event loop: state, browsers and commands, fed with decoded messages."""

import time
from collections.abc import Callable, Sequence

import msgspec

from broker.auth.gate import Role
from broker.embedded.statistics import BrokerSnapshot
from bus.client.client import BusClient
from bus.clock import now_ms
from bus.config.web_table import Card
from bus.contract.messages import Message, Reading
from bus.contract.topics import Topic
from bus.install.version import VERSION
from hub_app.history.recorder import Recorder
from hub_app.live.commander import Commander
from hub_app.live.dashboard import Dashboard
from hub_app.live.duplicate_node_ids import DuplicateNodeIds
from hub_app.live.fanout import Fanout
from hub_app.live.ingest import Decoder
from hub_app.live.state import Change, State

# Log lines of each node in the rendered page; its event stream brings more.
_PAGE_LOG_LINES = 50

_ENCODER = msgspec.json.Encoder()


class PageInput(msgspec.Struct, frozen=True):
    """The input of the dashboard plugin. `role` is None where nobody has to log in."""

    now_ms: int
    version: str
    cards: Sequence[Card]
    entries: list[Change]
    logs: list[Change]
    role: Role | None = None


class BrokerStatus(msgspec.Struct, frozen=True):
    """The broker's (host, port); the rest are defaults for a broker that is not embedded.

    `unavailable_addresses` are those on which it should listen and cannot yet; `is_alive` takes
    the time within which its periodic work must have been done.
    """

    address: tuple[str, int]
    snapshot: Callable[[], BrokerSnapshot | None] = lambda: None
    unavailable_addresses: Callable[[], Sequence[str]] = lambda: ()
    is_alive: Callable[[float], bool] = lambda _patience_s: True


class Hub:
    """State, fan-out and commands. The web routes read its public attributes."""

    def __init__(
        self,
        cards: Sequence[Card],
        *,
        bus: BusClient,
        broker: BrokerStatus,
        history: Recorder,
        dashboard: Dashboard,
    ) -> None:
        self.bus = bus
        self.broker = broker
        self.history = history
        self.state = State()
        self.fanout = Fanout()
        self.duplicate_node_ids = DuplicateNodeIds()
        self.decoder = Decoder(self.on_message, time.monotonic)
        self.commander = Commander(bus.publish_payload)
        self.now_ms = steady_clock()
        self.started_s = time.monotonic()
        self._cards = cards
        self._dashboard = dashboard

    def on_message(self, topic: Topic, message: Message) -> None:
        now_ms = self.now_ms()
        self.fanout.send(self.state.apply(topic, message, now_ms), now_ms)
        if isinstance(message, Reading):
            self.duplicate_node_ids.on_reading(topic.node, message.stream, message.seq, now_ms)
        self.commander.on_message(message)

    def sweep(self) -> None:
        """Mark the nodes that have fallen silent."""
        now_ms = self.now_ms()
        self.fanout.send(self.state.sweep(now_ms), now_ms)

    @property
    def faults(self) -> list[str]:
        """What does not work although the hub runs, one sentence each."""
        faults = [
            f"the broker cannot listen on {address} yet"
            for address in self.broker.unavailable_addresses()
        ]
        if not self.bus.connected:
            faults.append("the hub is not connected to the broker")
        if self.history.statistics.fault:
            faults.append(self.history.statistics.fault)
        return faults

    async def page(self, role: Role | None = None) -> str:
        """Return the page as HTML for a visitor with `role`. Raises PageUnavailableError."""
        shape = (self.state.shape, role)
        return await self._dashboard.render(shape, lambda: self._page_input(role))

    def _page_input(self, role: Role | None) -> str:
        snapshot = self.state.snapshot(self.now_ms(), _PAGE_LOG_LINES)
        page = PageInput(
            snapshot.now_ms, VERSION, self._cards, snapshot.entries, snapshot.logs, role
        )
        return _ENCODER.encode(page).decode()


def steady_clock() -> Callable[[], int]:
    """Return a clock of Unix milliseconds that never jumps, for the presence of nodes."""
    offset_ms = now_ms() - time.monotonic_ns() // 1_000_000
    return lambda: time.monotonic_ns() // 1_000_000 + offset_ms
