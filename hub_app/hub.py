"""The hub's parts put together, on the event loop: messages in, changes out to the browsers."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from broker.auth.gate import Role
from broker.embedded.statistics import BrokerSnapshot
from bus.client.client import BusClient
from bus.clock import now_ms
from bus.config.web_table import Card
from bus.contract.messages import Message, Reading
from bus.contract.topics import Topic
from bus.version import VERSION
from hub_app.history.recorder import Figures
from hub_app.live.commander import Commander
from hub_app.live.dashboard import Dashboard
from hub_app.live.duplicate_ids import Twins
from hub_app.live.fanout import Fanout
from hub_app.live.ingest import Decoder
from hub_app.live.state import Change, State

# What the rendered page holds of each node's log; its stream brings the rest.
_PAGE_LOG_LINES = 50

_ENCODER = msgspec.json.Encoder()


class PageInput(msgspec.Struct, frozen=True):
    """What the dashboard plugin is given. `role` is None where nobody has to log in."""

    now_ms: int
    version: str
    cards: Sequence[Card]
    entries: list[Change]
    logs: list[Change]
    role: Role | None = None


class Hub:
    """State, fan-out and commands; `receive` is where every decoded message arrives."""

    def __init__(self, cards: Sequence[Card], dashboard: Dashboard) -> None:
        self.cards = cards
        self.dashboard = dashboard
        self.state = State()
        self.fanout = Fanout()
        self.twins = Twins()
        self.decoder = Decoder(self.receive, time.monotonic)
        self.now_ms = steady_clock()
        self.started_s = time.monotonic()
        self.bus: BusClient | None = None
        # Where questions about the past are answered from; None where nothing is kept.
        self.history_file: Path | None = None
        self.history_figures: Figures | None = None
        self.wall_ms = now_ms
        # Where the broker is, and what an embedded one tells of itself.
        self.broker_address = ("", 0)
        self.broker_snapshot: Callable[[], BrokerSnapshot | None] = lambda: None
        self.commander = Commander(self._publish)

    def receive(self, topic: Topic, message: Message) -> None:
        now_ms = self.now_ms()
        self.fanout.send(self.state.apply(topic, message, now_ms), now_ms)
        if isinstance(message, Reading):
            self.twins.hear(topic.node, message.stream, message.seq, now_ms)
        self.commander.settle(message)

    def sweep(self) -> None:
        now_ms = self.now_ms()
        self.fanout.send(self.state.sweep(now_ms), now_ms)

    async def page(self, role: Role | None = None) -> str:
        """Return the page as HTML, as `role` may see it. Raises PageUnavailableError."""
        return await self.dashboard.render((self.state.shape, role), lambda: self._page_input(role))

    @property
    def bus_connected(self) -> bool:
        return self.bus is not None and self.bus.connected

    def _page_input(self, role: Role | None) -> str:
        snapshot = self.state.snapshot(self.now_ms(), _PAGE_LOG_LINES)
        page = PageInput(
            snapshot.now_ms, VERSION, self.cards, snapshot.entries, snapshot.logs, role
        )
        return _ENCODER.encode(page).decode()

    def answer(self, topic: Topic, message: Message) -> bool:
        """Say something to a node; return whether the bus took it. Any thread may call."""
        return self.bus is not None and self.bus.publish(topic, message) is not None

    def _publish(self, topic: Topic, payload: bytes) -> int | None:
        return self.bus.publish_payload(topic, payload) if self.bus is not None else None


def steady_clock() -> Callable[[], int]:
    """Return a clock of Unix milliseconds that never jumps: presence is judged by it."""
    offset_ms = now_ms() - time.monotonic_ns() // 1_000_000
    return lambda: time.monotonic_ns() // 1_000_000 + offset_ms
