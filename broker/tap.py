"""Tap: a receiver of every message in the broker's own process, without a socket or a session."""

import asyncio
from typing import Protocol


class Tap(Protocol):
    """Called by the router, in the event loop."""

    def put(self, topic: str, payload: bytes) -> bool:
        """Take a message; return whether it is of interest. Never waits and never fails."""

    def room_for(self, topic: str) -> "asyncio.Future[bool] | None":
        """Return what a publisher to `topic` has to wait for before it goes on; None: nothing."""
