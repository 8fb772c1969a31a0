"""Deadline of a peer. What it has sent by then counts, however late the loop is."""

import asyncio
from types import TracebackType

# Rounds of the loop, each of which reads what has come: two for a TLS handshake and its first
# packet, the others for the callbacks and tasks between.
_ROUNDS = 10


class PeerDeadline:
    """Context of a block that waits for a peer until `deadline_s`. Raises TimeoutError then.

    A loop that is late finds what the peer sent in time and the expired timer at once. So it reads
    for some rounds before the block ends.
    """

    def __init__(self, deadline_s: float) -> None:
        self._deadline_s = deadline_s
        self._loop = asyncio.get_running_loop()
        self._timeout = asyncio.timeout(None)
        self._handle: asyncio.Handle | None = None

    async def __aenter__(self) -> None:
        await self._timeout.__aenter__()
        self._handle = self._loop.call_at(self._deadline_s, self._expire, _ROUNDS)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._handle is not None:
            # It holds this object.
            self._handle.cancel()
        await self._timeout.__aexit__(kind, error, traceback)

    def _expire(self, rounds: int) -> None:
        if rounds:
            self._handle = self._loop.call_soon(self._expire, rounds - 1)
        else:
            self._timeout.reschedule(self._loop.time())
