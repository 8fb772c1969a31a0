"""The hub's connection to the bus: one client that feeds the live state and the history."""

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator

import msgspec

from bus.client.client import BusClient
from bus.client.credentials import Connection
from bus.clock import now_ms
from bus.config import directories
from bus.config.directories import Environment
from bus.config.settings import Config
from bus.contract.messages import Stored
from bus.contract.topics import EVERYTHING, Topic
from hub_app.history.inbox import Inbox
from hub_app.history.recorder import Recorder
from hub_app.live.ingest import LoopQueue
from hub_app.quota.refusals import Refusals
from hub_app.supervisor import Supervisor


class BusFeed(msgspec.Struct, frozen=True):
    """The bus client, its queue for the live state, and the history, which has its own inbox."""

    client: BusClient
    queue: LoopQueue
    history: Recorder


def create_feed(
    config: Config,
    connection: Connection,
    environment: Environment,
    refusals: Refusals,
    supervisor: Supervisor,
) -> BusFeed:
    """Return the parts, not yet started. Called on the event loop."""
    queue = LoopQueue(asyncio.get_running_loop())
    inbox = Inbox()

    def on_message(topic: str, payload: bytes) -> None:
        queue.put(topic, payload)
        inbox.put(topic, payload)

    client = BusClient(
        connection.address,
        client_id=_client_id(config, connection),
        login=connection.login,
        keepalive_s=config.broker.keepalive_s,
        filters=(EVERYTHING,),
        on_message=on_message,
    )

    def publish(topic: Topic, stored: Stored) -> bool:
        return client.publish(topic, stored) is not None

    history = Recorder(
        config.cluster.node_id,
        directories.state_dir(config, environment) / "history.db",
        config.history,
        inbox=inbox,
        publish=publish,
        now_ms=now_ms,
        limits=config.limits,
        refusals=refusals,
        supervisor=supervisor,
    )
    return BusFeed(client, queue, history)


@contextlib.asynccontextmanager
async def running(feed: BusFeed) -> AsyncIterator[None]:
    """Record and stay connected. Stopping waits for threads, so it happens off the loop."""
    await asyncio.to_thread(feed.history.start)
    feed.client.start()
    try:
        yield
    finally:
        # The history first: its last commit is acknowledged while there is still a connection.
        await asyncio.to_thread(feed.history.stop)
        await asyncio.to_thread(feed.client.stop)


def _client_id(config: Config, connection: Connection) -> str:
    """Return the user's name, which a login is bound to; without a login, a random client id."""
    if connection.login is not None and connection.login.username:
        return connection.login.username
    return f"{config.cluster.node_id}-hub-app-{secrets.token_hex(4)}"
