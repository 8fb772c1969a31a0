"""The hub's link to the bus, which feeds the live state and the history."""

import asyncio
import contextlib
import logging
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any

import msgspec

from broker.auth.accounts import HUB_USER
from broker.auth.gate import Identity, Role
from broker.local_link import LocalLink
from broker.server import EmbeddedBroker
from bus.client.client import BusClient
from bus.client.credentials import Connection
from bus.client.link import BusLink, MessageBatches, OnMessages, RawMessage
from bus.clock import now_ms
from bus.config import hub_files
from bus.config.directories import Environment
from bus.config.settings import Config
from bus.contract import discovery
from bus.contract.topics import EVERYTHING, ROOT, is_record
from hub_app.bus_link import worker
from hub_app.bus_link.ingest import LoopQueue
from hub_app.bus_link.record_barrier import RecordBarrier
from hub_app.bus_link.worker import Worker
from hub_app.bus_link.worker_client import WorkerClient
from hub_app.history.inbox import Inbox, node_of
from hub_app.history.query import known_names
from hub_app.history.recorder import Recorder
from hub_app.process.supervisor import Supervisor
from hub_app.quota.refusals import Refusals

logger = logging.getLogger(__name__)

# Answers to nodes that an outside broker has not acknowledged.
_MAX_QUEUED = 20_000
_ROOT = f"{ROOT}/"
# The time in which what has come by the hub's end is taken from the queue.
_DRAIN_S = 5.0


class Intake:
    """Takes the messages of the link into both queues, and tells which node has to wait.

    On the event loop. Messages on topics that `hides` names are dropped: they are of removed nodes.
    """

    def __init__(
        self,
        queue: LoopQueue,
        inbox: Inbox,
        hides: Callable[[str], bool] = lambda _topic: False,
    ) -> None:
        # Take what is on the topics of other systems, and a new connection to an outside broker.
        self.on_others: OnMessages = lambda _messages: None
        self.on_connect: Callable[[], None] = lambda: None
        # Makes publishers of plugins' records wait, where the broker is embedded.
        self.barrier: RecordBarrier | None = None
        self._hides = hides
        self._queue = queue
        self._inbox = inbox
        self._loop = asyncio.get_running_loop()
        self._room: asyncio.Future[bool] | None = None
        self._is_closed = False
        queue.on_room = self._release_if_room
        inbox.on_room = self._release_soon

    def on_messages(self, messages: Sequence[RawMessage]) -> None:
        own, others = [], []
        for message in messages:
            if not message[0].startswith(_ROOT):
                others.append(message)
            elif not (message[1] and self._hides(message[0])):
                own.append(message)
        if others:
            self.on_others(others)
        self._queue.put_many(own)

    def room_for(self, topic: str) -> asyncio.Future[bool] | None:
        """Return what a publisher to `topic` has to wait for before it goes on; None: nothing."""
        if self.barrier is not None and is_record(topic):
            return self.barrier.future()
        # Asked for each message: mostly there is room for all.
        if not (self._queue.is_counting or self._inbox.is_counting) or self._is_closed:
            return None
        node = node_of(topic)
        if not (self._queue.is_above_share(node) or self._inbox.is_above_share(node)):
            return None
        room = self._room
        if room is None:
            room = self._room = self._loop.create_future()
            # The history's thread may have made room meanwhile.
            self._release_if_room()
        return room

    def close(self) -> None:
        """Make nobody wait any more."""
        self._is_closed = True
        self._release()

    def _release_soon(self) -> None:
        """On the history's thread."""
        if self._room is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._release_if_room)

    def _release_if_room(self) -> None:
        if not (self._queue.is_counting or self._inbox.is_counting):
            self._release()

    def _release(self) -> None:
        room, self._room = self._room, None
        if room is not None:
            room.set_result(True)


class BusFeed(msgspec.Struct, frozen=True):
    """The link, its queue for the live state, and the history, which has its own inbox."""

    link: BusLink
    queue: LoopQueue
    history: Recorder
    intake: Intake


async def _written_at_once() -> None:
    return


def create_feed(  # noqa: PLR0913 - all that the hub's feed works with
    config: Config,
    connection: Connection,
    environment: Environment,
    broker: EmbeddedBroker | None,
    *,
    refusals: Refusals,
    supervisor: Supervisor,
    hides: Callable[[str], bool] = lambda _topic: False,
    records_written: Callable[[], Awaitable[object]] = _written_at_once,
) -> BusFeed:
    """Return the parts, not yet started. Called on the event loop.

    Without an embedded `broker`, the hub is a client at `connection`. `records_written` waits until
    the plugins' records that were taken are in their files.
    """
    queue = LoopQueue.for_nodes(config.limits.nodes)
    inbox = Inbox.for_nodes(config.limits.nodes)
    intake = Intake(queue, inbox, hides)
    link: BusLink
    if broker is not None:
        link = broker.link(
            Identity(HUB_USER, Role.HUB),
            on_messages=intake.on_messages,
            room_for=intake.room_for,
            prefix=config.homeassistant.prefix,
        )
        intake.barrier = RecordBarrier(queue, link.flush, records_written)
    else:
        link = _client(config, connection, intake)

    history = Recorder(
        config.cluster.node_id,
        hub_files.of(config, environment).state_dir / known_names.FILE_NAME,
        config.history,
        inbox=inbox,
        publish=link.publish_many,
        now_ms=now_ms,
        limits=config.limits,
        refusals=refusals,
        supervisor=supervisor,
    )
    return BusFeed(link, queue, history, intake)


@contextlib.asynccontextmanager
async def running(feed: BusFeed) -> AsyncIterator[None]:
    """Record and stay connected. Stopping waits for threads, so it happens off the loop."""
    await asyncio.to_thread(feed.history.start)
    feed.link.start()
    try:
        yield
    finally:
        feed.intake.close()
        # The history first: its last commit is acknowledged while there is still a connection.
        await asyncio.to_thread(feed.history.stop)
        await asyncio.to_thread(feed.link.stop)


@contextlib.asynccontextmanager
async def receiving(feed: BusFeed, broker: EmbeddedBroker | None) -> AsyncIterator[None]:
    """Let the embedded broker serve its clients, while the feed runs and its queue is ingested.

    So whatever the broker acknowledges is heard by the hub: what came before the end is in the
    history's inbox afterwards, and nothing comes later.
    """
    if broker is not None:
        await broker.listen()
    try:
        yield
    finally:
        if broker is not None:
            await broker.stop_receiving()
        await _drain(feed)


async def _drain(feed: BusFeed) -> None:
    """Wait until all that has come is ingested."""
    if isinstance(feed.link, LocalLink):
        feed.link.flush()
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(feed.queue.wait_until_taken(), _DRAIN_S)
    if feed.queue:
        logger.warning("%d messages were not taken before the end of the hub", len(feed.queue))


def _client(config: Config, connection: Connection, intake: Intake) -> BusClient:
    """Return the link to a broker that is not embedded."""
    loop = asyncio.get_running_loop()
    batches = MessageBatches(loop, intake.on_messages)
    own = worker.of(config)
    qos = config.broker.subscribe_qos
    every = (EVERYTHING,) if own is None else worker.filters(qos)
    keys: dict[str, Any] = {
        "others": connection.addresses[1:],
        "client_id": _client_id(config, connection, own),
        "login": connection.login,
        "keepalive_s": config.broker.keepalive_s,
        "filters": (*every, *discovery.filters(config.homeassistant.prefix)),
        "filter_qos": qos,
        "on_message": batches.put,
        "on_connect": lambda: _call_on(loop, intake),
        "max_queued": _MAX_QUEUED,
    }
    if own is None:
        return BusClient(connection.address, **keys)
    # What comes while a worker is away waits for it: no other has its nodes.
    keys |= {"keep_session": True, "sure_filters": worker.SURE_FILTERS}
    return WorkerClient(connection.address, worker=own, **keys)


def _call_on(loop: asyncio.AbstractEventLoop, intake: Intake) -> None:
    """Cross from the client's thread to the event loop."""
    if not loop.is_closed():
        loop.call_soon_threadsafe(intake.on_connect)


def _client_id(config: Config, connection: Connection, own: Worker | None) -> str:
    """Return the user's name, which a login is bound to.

    Without a login it is a random one, or a worker's lasting one.
    """
    if connection.login is not None and connection.login.username:
        return connection.login.username
    if own is not None:
        return own.client_id
    return f"{config.cluster.node_id}-hub-app-{secrets.token_hex(4)}"
