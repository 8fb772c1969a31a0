"""Whether a node is there, from what it says and for how long it has been silent. No clock here."""

from typing import Literal

import msgspec

from bus.contract.messages import Heartbeat, Message, Status

Presence = Literal["online", "offline", "lost"]

DEFAULT_INTERVAL_MS = 2000
# A node is lost, and a reading is stale, after this many cycles without a word.
MISSED_CYCLES = 3


class StatusView(msgspec.Struct, frozen=True):
    """Presence of a node on the hub's clock; `status` is None for one that never announced itself.

    `heard_ms` is None where all that is known comes from the broker: its last will.
    """

    presence: Presence
    heard_ms: int | None
    status: Status | None


class NodeWatch:
    """What one node last said of itself, and when it was last heard on the hub's clock."""

    def __init__(self) -> None:
        self.presence: Presence = "offline"
        self.status: Status | None = None
        self.heard_ms: int | None = None
        # What to add to the node's clock for the hub's; unknown until its first heartbeat.
        self.clock_offset_ms = 0
        self._alive_since_will = False

    @property
    def interval_ms(self) -> int:
        return round(self.status.interval_s * 1000) if self.status else DEFAULT_INTERVAL_MS

    @property
    def view(self) -> StatusView:
        return StatusView(self.presence, self.heard_ms, self.status)

    def hear(self, message: Message, now_ms: int) -> None:
        """Take note of a message, of whatever kind, that came from this node."""
        if isinstance(message, Status):
            self._hear_status(message, now_ms)
            return
        self.heard_ms = now_ms
        if isinstance(message, Heartbeat):
            self.clock_offset_ms = now_ms - message.clock_ms
            # Heartbeats are not retained, so one after the will proves that the will came late.
            self._alive_since_will = True

    def update(self, now_ms: int) -> bool:
        """Derive the presence at `now_ms`; return whether it changed."""
        before, self.presence = self.presence, self._derive(now_ms)
        return self.presence != before

    def _hear_status(self, status: Status, now_ms: int) -> None:
        if self._is_of_an_earlier_boot(status):
            return
        self.status = status
        if status.state == "online":
            self.heard_ms = now_ms
        self._alive_since_will = False

    def _is_of_an_earlier_boot(self, status: Status) -> bool:
        """Whether this is the will of a process that the node has replaced since."""
        current = self.status
        return (
            current is not None
            and status.state == "offline"
            and status.boot_id != current.boot_id
            and status.since_ms < current.since_ms
        )

    def _derive(self, now_ms: int) -> Presence:
        said_offline = self.status is not None and self.status.state == "offline"
        if self.heard_ms is None or (said_offline and not self._alive_since_will):
            return "offline"
        silent_ms = now_ms - self.heard_ms
        return "lost" if silent_ms > MISSED_CYCLES * self.interval_ms else "online"
