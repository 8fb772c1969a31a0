"""`GET /events`: the event stream of one browser, a snapshot and each change of its view (SSE)."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable

from sse_starlette import EventSourceResponse
from sse_starlette.sse import SendTimeoutError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from hub_app.http.formats.query_params import Choice, Parameter
from hub_app.http.responses import hub_of
from hub_app.http.session_gate import Access
from hub_app.hub import Hub
from hub_app.live.event_filter import (
    VIEWS,
    VIEWS_WITH_LOG_LINES,
    UnknownViewError,
    ViewFilters,
    filters_of,
)
from hub_app.live.fanout import time_event
from hub_app.serving.client_limit import (
    MAX_STREAMS_PER_ADDRESS,
    Stream,
    StreamPlaces,
    address_of,
)
from hub_app.serving.forwarded import PEER

logger = logging.getLogger(__name__)

# A browser that misses two of these reconnects, so this bounds how late it sees a dead link.
PING_S = 10
# A browser that reads nothing for this long is disconnected; it reconnects for a snapshot.
SEND_TIMEOUT_S = 5
# Log lines of each node in the snapshot.
SNAPSHOT_LOG_LINES = 200

PARAMETERS = (
    Choice(
        "view", "View of the page whose changes are sent; default: everything", choices=(*VIEWS,)
    ),
    Parameter("panels", "With view=overview: outputs and logs of the nodes, too"),
    Parameter("node", "With view=node or sensor: id of the node; with view=log: of its lines"),
    Parameter("sensor", "With view=sensor: the sensor's id without its node"),
    Parameter("compare", "With view=sensor: a second sensor, pi4:dht22-gpio4"),
    Parameter("level", "With view=log: least level"),
    Parameter("source", "With view=log: part of the source"),
    Parameter("text", "With view=log: part of the message"),
)

# Closes the connection of a client (host, port) at once.
Abort = Callable[[tuple[str, int]], None]


async def events(request: Request) -> Response:
    """Answer ?view=, with the parameters of that view; see `hub_app.live.event_filter`."""
    hub = hub_of(request)
    try:
        filters = filters_of(request.query_params)
    except UnknownViewError as e:
        raise HTTPException(400, str(e)) from e
    if request.method == "HEAD":
        return Response(media_type="text/event-stream")
    places: StreamPlaces = request.app.state.streams
    place = places.enter(address_of(request.scope))
    if place is None:
        raise HTTPException(
            429, f"no more event streams; at most {MAX_STREAMS_PER_ADDRESS} for one address"
        )
    access: Access = request.state.access
    has_lines = request.query_params.get("view", "") in VIEWS_WITH_LOG_LINES
    lines = SNAPSHOT_LOG_LINES if has_lines else 0

    def ping() -> bytes:
        # A view without changes ends here, too.
        if not access.is_valid():
            place.close()
        return time_event(hub.now_ms())

    chunks = _events(hub, place, access.is_valid, filters, lines)
    return EventStream(places, place, request.app.state.abort, ping, chunks)


class EventStream(EventSourceResponse):
    """Stream of `chunks` to one browser, until it leaves, loses its place or they end."""

    def __init__(
        self,
        places: StreamPlaces,
        place: Stream,
        abort: Abort,
        ping: Callable[[], bytes],
        chunks: AsyncIterator[bytes],
    ) -> None:
        self._abort = abort
        self._places = places
        self._place = place
        super().__init__(
            chunks,
            ping=PING_S,
            # sse-starlette passes bytes through, although its annotation does not allow them.
            ping_message_factory=ping,  # type: ignore[arg-type]
            send_timeout=SEND_TIMEOUT_S,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        except SendTimeoutError:
            logger.info("disconnected a browser that read nothing for %d s", SEND_TIMEOUT_S)
            self._abort(scope["state"][PEER])
        finally:
            self._places.leave(self._place)


async def _events(
    hub: Hub, place: Stream, is_allowed: Callable[[], bool], filters: ViewFilters, log_lines: int
) -> AsyncIterator[bytes]:
    """Yield the events that `filters` accept, while `is_allowed` returns True."""
    if place.is_closed:
        return
    fanout = hub.fanout
    client = fanout.join(filters.updates)

    def close() -> None:
        client.close()
        # Another stream takes its place at once.
        fanout.leave(client)

    place.on_close = close
    try:
        # Nothing is awaited between joining and the snapshot, so no change is missed in between.
        snapshot = hub.state.snapshot(hub.now_ms(), log_lines)
        parts = []
        for part in fanout.snapshot_parts(snapshot, filters.snapshot):
            parts.append(part)
            # What changes meanwhile waits for its turn in the client's queue.
            await asyncio.sleep(0)
        # In one piece: a `time` event may not come between its parts.
        yield b"".join(parts)
        while (chunk := await client.take()) and is_allowed():
            yield chunk
    finally:
        fanout.leave(client)
