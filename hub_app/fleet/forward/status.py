"""Status of the forwarding to the fleet's database, for the page, the API and the metrics."""

from datetime import UTC, datetime

import msgspec


class FleetStatus(msgspec.Struct, frozen=True):
    """State at one moment. `waiting` readings are not forwarded yet; -1 where nobody knows.

    `since_ms` is the start of the connection, or of the outage.
    """

    database: str
    site: str
    connected: bool
    since_ms: int
    last_error: str
    forwarded: int
    redated: int
    waiting: int

    @property
    def fault(self) -> str:
        """What does not work, as a sentence; empty where all is well."""
        if self.connected or not self.last_error:
            return ""
        wait = f"{self.waiting} readings wait" if self.waiting >= 0 else "readings wait"
        since = datetime.fromtimestamp(self.since_ms / 1000, UTC)
        return (
            f"the fleet database is unavailable since {since:%Y-%m-%d %H:%M:%S} UTC, {wait}: "
            f"{self.last_error}"
        )
