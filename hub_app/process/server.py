"""The hub as one process with one event loop: starts and stops its parts in order."""

import asyncio
import contextlib
import logging
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial

import msgspec

from broker import known_addresses
from broker.auth.password_check import PasswordCheck
from broker.known_addresses import KnownAddresses
from broker.server import EmbeddedBroker
from bus import struct_types
from bus.client.client import BusClient
from bus.client.credentials import Connection
from bus.config import hub_files
from bus.config.directories import Environment
from bus.config.plugin_files import plugin_file
from bus.config.settings import Config
from bus.install import extras
from bus.listen import AddressUnavailableError, listen, listen_when_available
from bus.service_manager import ServiceManager
from bus.ticks import next_tick
from hub_app.alarms import setup as alarm_setup
from hub_app.bus_link import bus_feed, worker
from hub_app.bus_link.bus_feed import BusFeed
from hub_app.bus_link.embedding import embedded_broker, outside_broker
from hub_app.bus_link.ingest import ingest
from hub_app.history.logs import log_file
from hub_app.history.logs.log_recorder import LogRecorder
from hub_app.homeassistant import setup as discovery_setup
from hub_app.homeassistant.forward import setup as forward_setup
from hub_app.http.guard import own_names
from hub_app.hub import BrokerStatus, Hub
from hub_app.live.dashboard import Dashboard, EndCompiler, OpenRenderer, PageUnavailableError
from hub_app.login import setup as login_setup
from hub_app.nodes.delivery import component_host
from hub_app.nodes.delivery.deliverer import Deliverer
from hub_app.nodes.join.listener import JoinListener, NodeNeeds
from hub_app.nodes.join.service import JoinService
from hub_app.nodes.records import store as record_store
from hub_app.nodes.records.store import RecordStore
from hub_app.nodes.removal import removals
from hub_app.nodes.removal.remover import Remover
from hub_app.nodes.update.updater import NodeUpdater
from hub_app.process import garbage, page_tasks
from hub_app.process.own_state import own_state
from hub_app.process.page_tasks import every_second
from hub_app.process.stopper import Stopper
from hub_app.process.supervisor import Supervisor
from hub_app.quota.refusals import Refusals
from hub_app.serving import tls as web_tls
from hub_app.serving.watchdog import Watchdog
from hub_app.serving.web_server import WebServer

logger = logging.getLogger(__name__)

_SWEEP_S = 1.0
_JUDGE_S = 0.5
# Between two steps: thousands of nodes that return need the loop, too.
_NEXT_NODES_S = 0.02


async def run(
    config: Config,
    open_renderer: OpenRenderer,
    environment: Environment,
    end_compiler: EndCompiler = lambda: None,
) -> None:
    """Serve until SIGTERM, SIGINT or SIGHUP.

    An address or a port that cannot be had is waited for. Raises MisconfiguredError where one is
    none, a file with secrets cannot be used or another hub uses the state; RestoredError.
    """
    struct_types.prepare()
    stopper = Stopper()
    dashboard = Dashboard(
        partial(plugin_file, config.plugins, "dashboard"), open_renderer, end_compiler
    )
    with stopper.on_signals(), garbage.rare_full_collections():
        async with own_state(config, environment):
            await _run(worker.with_own_site(config), dashboard, environment, stopper)


async def _run(
    config: Config, dashboard: Dashboard, environment: Environment, stopper: Stopper
) -> None:
    supervisor = Supervisor()
    files = hub_files.of(config, environment)
    known = KnownAddresses(files.state_dir / known_addresses.FILE_NAME)
    # One for the page and the broker, so that they share a rate limit.
    check = PasswordCheck(time.monotonic, known)
    log_in = login_setup.create(config.web, files, check)
    _check_web_address(config)
    tls = web_tls.load(config.web, files.tls_dir)
    alarms = alarm_setup.create(config, files, supervisor)
    logs = LogRecorder(files.state_dir / log_file.FILE_NAME, config.history, supervisor=supervisor)
    records = RecordStore(files.state_dir / record_store.FOLDER_NAME)
    async with contextlib.AsyncExitStack() as stack:
        watchdog = Watchdog(ServiceManager(environment))
        await stack.enter_async_context(watchdog)
        connection, broker, embedded = await stack.enter_async_context(
            _broker(config, environment, check, supervisor)
        )
        stack.push_async_callback(dashboard.close)
        refusals = Refusals(most_nodes=config.limits.nodes)
        remover = Remover(
            files.state_dir / removals.FILE_NAME,
            files.accounts,
            config.cluster.node_id,
            broker.clear_retained,
        )
        remover.clear_leftovers()
        feed = bus_feed.create_feed(
            *(config, connection, environment, embedded),
            refusals=refusals,
            supervisor=supervisor,
            hides=remover.hides,
            records_written=records.written,
        )
        if isinstance(feed.link, BusClient):
            client = feed.link
            broker = msgspec.structs.replace(broker, connected_address=lambda: client.address)
        hub = Hub(
            config.web.cards,
            bus=feed.link,
            broker=broker,
            history=feed.history,
            dashboard=dashboard,
            limits=config.limits,
            refusals=refusals,
            supervisor=supervisor,
            alarms=alarms,
            logs=logs,
            records=records,
        )
        forwarder = forward_setup.create(config, hub, files)
        await stack.enter_async_context(_writing(logs, records))
        await stack.enter_async_context(discovery_setup.running(config, hub, feed, forwarder))
        await stack.enter_async_context(bus_feed.running(feed))
        await stack.enter_async_context(forward_setup.running(forwarder))
        await stack.enter_async_context(alarm_setup.running(hub, alarms, files))
        if config.fleet.url:
            fleet = extras.load("hub_app.fleet.forward.setup", "fleet.url", "fleet")
            await stack.enter_async_context(fleet.running(fleet.create(config, hub)))
        await stack.enter_async_context(_background_tasks(hub, feed, remover))
        await stack.enter_async_context(bus_feed.receiving(feed, embedded))
        await stack.enter_async_context(page_tasks.running(supervisor, log_in, tls))
        joins = JoinService(config, files, hub)
        updater = NodeUpdater(files, hub, config.cluster.node_id)
        deliverer = Deliverer(
            *(files, hub, lambda node: node in remover.gone, component_host.of(config, files))
        )
        listener = JoinListener(config, joins, files, _needs(updater, deliverer))
        await stack.enter_async_context(
            hub.supervisor.running(
                {
                    "join": listener.run,
                    "known addresses": known.run,
                    "updates": lambda: _update_nodes(updater),
                    "deliveries": lambda: _deliver(deliverer),
                }
            )
        )
        server = WebServer(
            *(hub, log_in, config.web, own_names(socket.gethostname())),
            remover=remover,
            config=config,
            tls=tls,
            joins=joins,
            updater=updater,
            deliverer=deliverer,
        )
        # Readings are stored while this waits: they need no page.
        page = await listen_when_available(config.web.listen, config.web.port, key="web.port")
        stack.callback(page.close)
        stopper.server = server
        scheme, port = "https" if tls else "http", page.getsockname()[1]
        logger.info("page on %s://%s:%d/", scheme, config.web.listen, port)
        watchdog.watch(hub)
        await server.serve(sockets=[page])


def _check_web_address(config: Config) -> None:
    """Raise MisconfiguredError where no waiting would help, before anything else is started."""
    with contextlib.suppress(AddressUnavailableError):
        listen(config.web.listen, config.web.port, key="web.port").close()


@contextlib.asynccontextmanager
async def _broker(
    config: Config, environment: Environment, check: PasswordCheck, supervisor: Supervisor
) -> AsyncIterator[tuple[Connection, BrokerStatus, EmbeddedBroker | None]]:
    """Run the embedded broker where one is configured; yield the way to connect to the broker."""
    if not config.embeds_broker:
        connection = outside_broker(config, environment)
        yield connection, BrokerStatus(connection.address), None
        return
    async with embedded_broker(config, environment, check, supervisor) as (broker, connection):
        status = BrokerStatus(
            connection.address,
            broker.snapshot,
            lambda: broker.unavailable_addresses,
            broker.is_alive,
            broker.clear_retained,
        )
        yield connection, status, broker


@contextlib.asynccontextmanager
async def _writing(logs: LogRecorder, records: RecordStore) -> AsyncIterator[None]:
    """Open the log and the plugins' records; at the end, write what they have taken."""
    await asyncio.to_thread(logs.start)
    await asyncio.to_thread(records.load)
    try:
        yield
    finally:
        await asyncio.to_thread(logs.stop)
        await asyncio.to_thread(records.close)


@contextlib.asynccontextmanager
async def _background_tasks(hub: Hub, feed: BusFeed, remover: Remover) -> AsyncIterator[None]:
    """Run the tasks that keep the hub's state; cancel them at the end."""
    starts: dict[str, Callable[[], Awaitable[None]]] = {
        "ingest": lambda: ingest(feed.queue, hub.handle, hub.decoder.flush),
        "sweep": lambda: _sweep(hub),
        "alarms": lambda: _judge_nodes(hub),
        "garbage": garbage.collect_regularly,
        "removals": lambda: every_second(lambda: remover.run(hub)),
    }
    if feed.intake.barrier is not None:
        starts["records"] = feed.intake.barrier.run
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(hub.supervisor.run(*item)) for item in starts.items()]
        tasks.append(group.create_task(_render_first_page(hub)))
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()


def _needs(updater: NodeUpdater, deliverer: Deliverer) -> NodeNeeds:
    """Return what nodes come to the join listener for."""
    return NodeNeeds(lambda: updater.is_serving, lambda: deliverer.is_serving, deliverer.component)


async def _update_nodes(updater: NodeUpdater) -> None:
    while True:
        await next_tick(_SWEEP_S)
        await updater.run()


async def _deliver(deliverer: Deliverer) -> None:
    while True:
        await deliverer.run()
        await next_tick(_SWEEP_S)


async def _render_first_page(hub: Hub) -> None:
    """Render once, so that the first browser does not wait for the compiler."""
    try:
        await hub.page()
    except PageUnavailableError as e:
        logger.warning("no page: %s", e)


async def _sweep(hub: Hub) -> None:
    """Sweep every second; of thousands of nodes that fell silent, some in each step."""
    next_s = 0.0
    while True:
        if time.monotonic() >= next_s:
            # At the ticks of the other tasks.
            next_s = (time.monotonic() // _SWEEP_S + 1) * _SWEEP_S
            for _ in hub.sweep_steps():
                await asyncio.sleep(0)
        has_more = hub.sweep_more()
        await asyncio.sleep(_NEXT_NODES_S if has_more else max(0.0, next_s - time.monotonic()))


async def _judge_nodes(hub: Hub) -> None:
    """Judge the nodes that are due in short steps, between which the loop does everything else."""
    while True:
        has_more = hub.alarms.judge_due(hub.now_ms())
        await (asyncio.sleep(_NEXT_NODES_S) if has_more else next_tick(_JUDGE_S))
