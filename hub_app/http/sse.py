"""`GET /events`: the event stream of one browser, a full snapshot and then every change (SSE)."""

import logging
from collections.abc import AsyncIterator, Callable

from sse_starlette import EventSourceResponse
from sse_starlette.sse import SendTimeoutError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from hub_app.http.responses import hub_of
from hub_app.http.session_gate import token_of
from hub_app.live.fanout import MAX_CLIENTS, Fanout, time_event
from hub_app.live.state import State
from hub_app.login.login import LogIn

logger = logging.getLogger(__name__)

# A browser that misses two of these reconnects, so this bounds how late it sees a dead link.
PING_S = 10
# A browser that reads nothing for this long is disconnected; it reconnects for a snapshot.
SEND_TIMEOUT_S = 5
# Log lines of each node in the snapshot.
SNAPSHOT_LOG_LINES = 200

# Closes the connection of a client (host, port) at once.
Abort = Callable[[tuple[str, int]], None]


async def events(request: Request) -> Response:
    hub = hub_of(request)
    if hub.fanout.is_full:
        raise HTTPException(503, f"{MAX_CLIENTS} browsers are connected, no more are served")
    if request.method == "HEAD":
        return Response(media_type="text/event-stream")
    return EventStream(
        hub.state,
        hub.fanout,
        hub.now_ms,
        request.app.state.abort,
        lambda: _has_session(request),
    )


def _has_session(request: Request) -> bool:
    """Whether the session that opened a stream is still open."""
    log_in: LogIn | None = request.app.state.log_in
    return log_in is None or log_in.visitor(token_of(request)) is not None


class EventStream(EventSourceResponse):
    """Stream of `state` to one browser, until it leaves or `is_allowed` returns False."""

    def __init__(
        self,
        state: State,
        fanout: Fanout,
        now_ms: Callable[[], int],
        abort: Abort,
        is_allowed: Callable[[], bool],
    ) -> None:
        self._abort = abort
        super().__init__(
            _events(state, fanout, now_ms, is_allowed),
            ping=PING_S,
            # sse-starlette passes bytes through, although its annotation does not allow them.
            ping_message_factory=lambda: time_event(now_ms()),  # type: ignore[arg-type,return-value]
            send_timeout=SEND_TIMEOUT_S,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        except SendTimeoutError:
            logger.info("disconnected a browser that read nothing for %d s", SEND_TIMEOUT_S)
            self._abort(scope["client"])


async def _events(
    state: State, fanout: Fanout, now_ms: Callable[[], int], is_allowed: Callable[[], bool]
) -> AsyncIterator[bytes]:
    client = fanout.join()
    try:
        # Nothing is awaited between joining and the snapshot, so no change is missed in between.
        yield fanout.snapshot_event(state.snapshot(now_ms(), SNAPSHOT_LOG_LINES))
        while (chunk := await client.take()) and is_allowed():
            yield chunk
    finally:
        fanout.leave(client)
