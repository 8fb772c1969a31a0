"""One browser's event stream: a full snapshot, then every change, coalesced where it is slow."""

import logging
from collections.abc import AsyncIterator, Callable

from sse_starlette import EventSourceResponse
from sse_starlette.sse import SendTimeoutError
from starlette.types import Receive, Scope, Send

from hub_app.live.fanout import Fanout, time_event
from hub_app.live.state import State

logger = logging.getLogger(__name__)

# Also how soon a browser may notice a dead link: it waits for two of these.
PING_S = 10
# A browser that takes nothing for this long is cut off; it comes back for a snapshot.
SEND_TIMEOUT_S = 5
# What a new browser gets of each node's log.
SNAPSHOT_LOG_LINES = 200

Abort = Callable[[tuple[str, int]], None]


class EventStream(EventSourceResponse):
    """The stream of `state` to one browser, for as long as it is welcome."""

    def __init__(
        self,
        state: State,
        fanout: Fanout,
        now_ms: Callable[[], int],
        abort: Abort,
        is_welcome: Callable[[], bool],
    ) -> None:
        self._abort = abort
        super().__init__(
            _events(state, fanout, now_ms, is_welcome),
            ping=PING_S,
            # sse-starlette passes bytes through, which its annotation does not say.
            ping_message_factory=lambda: time_event(now_ms()),  # type: ignore[arg-type,return-value]
            send_timeout=SEND_TIMEOUT_S,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        except SendTimeoutError:
            logger.info("cut off a browser that took nothing for %d s", SEND_TIMEOUT_S)
            self._abort(scope["client"])


async def _events(
    state: State, fanout: Fanout, now_ms: Callable[[], int], is_welcome: Callable[[], bool]
) -> AsyncIterator[bytes]:
    client = fanout.join()
    try:
        # Nothing is awaited between joining and the snapshot, so no change falls in between.
        yield fanout.snapshot_event(state.snapshot(now_ms(), SNAPSHOT_LOG_LINES))
        while (chunk := await client.take()) and is_welcome():
            yield chunk
    finally:
        fanout.leave(client)
