"""Status of the forwarder, for the page, the API and the metrics."""

import msgspec

from bus.clock import now_ms


class ForwarderStatus(msgspec.Struct, frozen=True):
    """State at one moment. `since_ms` is the start of the connection, 0 where there is none.

    `waiting` are messages to send, `topics` those that are kept; `dropped` had no room, or were
    events without a connection. `commands` were passed on to the hub's bus.
    """

    broker: str
    connected: bool
    since_ms: int
    connections: int
    last_error: str
    last_error_ms: int
    forwarded: int
    dropped: int
    waiting: int
    topics: int
    commands: int
    commands_refused: int


class ConnectionRecord:
    """Connections and errors so far. Each thread writes whole values only."""

    def __init__(self) -> None:
        self.since_ms = 0
        self.connections = 0
        self.forwarded = 0
        self.last_error = ""
        self.last_error_ms = 0

    def connected(self) -> None:
        self.since_ms = now_ms()
        self.connections += 1

    def disconnected(self) -> None:
        self.since_ms = 0

    def failed(self, error: str) -> bool:
        """Note an error; return whether it is another one than the last."""
        is_new = error != self.last_error
        self.last_error, self.last_error_ms = error, now_ms()
        return is_new
