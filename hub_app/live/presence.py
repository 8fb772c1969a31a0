"""Presence of a node, from its messages and the time since the last one. It reads no clock."""

from typing import Literal

import msgspec

from bus.contract.messages import Heartbeat, Message, Status

Presence = Literal["online", "offline", "lost"]

DEFAULT_INTERVAL_MS = 2000
# A node is lost, and a reading is stale, after this many cycles without a message.
MISSED_CYCLES = 3


class StatusView(msgspec.Struct, frozen=True, gc=False):
    """Presence of a node as the page shows it; `status` is None where the node sent none yet.

    `heard_ms` is the hub's time, None for a node of which only the last will has arrived.
    """

    presence: Presence
    heard_ms: int | None
    status: Status | None
    # Refused messages of the node by reason, since the hub's start.
    refused: dict[str, int] = {}


class NodePresence:
    """The last status of one node, and the hub's time of its last message.

    `now_ms` is when the hub first heard of the node.
    """

    # There are two for each node.
    __slots__ = (
        *("_alive_since_will", "_first_ms", "clock_offset_ms", "heard_ms"),
        *("interval_ms", "presence", "refused", "status"),
    )

    def __init__(self, now_ms: int = 0) -> None:
        self._first_ms = now_ms
        self.refused: dict[str, int] = {}
        self.presence: Presence = "offline"
        self.status: Status | None = None
        self.heard_ms: int | None = None
        # Hub's clock minus node's clock; 0 until the first heartbeat.
        self.clock_offset_ms = 0
        # The node's cycle.
        self.interval_ms = DEFAULT_INTERVAL_MS
        self._alive_since_will = False

    @property
    def view(self) -> StatusView:
        return StatusView(self.presence, self.heard_ms, self.status, self.refused)

    @property
    def last_ms(self) -> int:
        """When the hub last heard of the node, its last will included."""
        return self._first_ms if self.heard_ms is None else self.heard_ms

    @property
    def lost_ms(self) -> int | None:
        """The first moment at which a node that says nothing more is lost; None if it never is."""
        if self.presence != "online" or self.heard_ms is None:
            return None
        return self.heard_ms + MISSED_CYCLES * self.interval_ms + 1

    def shift(self, delta_ms: int) -> None:
        """Move the hub's times by `delta_ms`, as its clock was set."""
        self._first_ms += delta_ms
        self.clock_offset_ms += delta_ms
        if self.heard_ms is not None:
            self.heard_ms += delta_ms

    def on_message(self, message: Message, now_ms: int) -> None:
        """Note a message of any kind from this node."""
        if isinstance(message, Status):
            self._on_status(message, now_ms)
            return
        self.heard_ms = now_ms
        if isinstance(message, Heartbeat):
            self.clock_offset_ms = now_ms - message.clock_ms
            # Heartbeats are not retained: one that follows the will proves that the will came late.
            self._alive_since_will = True

    def update(self, now_ms: int) -> bool:
        """Derive the presence at `now_ms`; return True if it changed."""
        before, self.presence = self.presence, self._derive(now_ms)
        return self.presence != before

    def _on_status(self, status: Status, now_ms: int) -> None:
        if self._is_from_earlier_run(status):
            return
        self.status = status
        self.interval_ms = round(status.interval_s * 1000)
        if status.state == "online":
            self.heard_ms = now_ms
        self._alive_since_will = False

    def _is_from_earlier_run(self, status: Status) -> bool:
        """Whether this is the last will of a process that has been replaced since."""
        current = self.status
        return (
            current is not None
            and status.state == "offline"
            and status.boot_id != current.boot_id
            and status.since_ms < current.since_ms
        )

    def _derive(self, now_ms: int) -> Presence:
        is_offline = self.status is not None and self.status.state == "offline"
        if self.heard_ms is None or (is_offline and not self._alive_since_will):
            return "offline"
        silent_ms = now_ms - self.heard_ms
        return "lost" if silent_ms > MISSED_CYCLES * self.interval_ms else "online"
