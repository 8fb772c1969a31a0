"""Setup of the alarms: from the configuration to the running tasks of the hub."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from pathlib import Path

from bus.clock import now_ms
from bus.config.hub_files import HubFiles
from bus.config.settings import Config
from hub_app.alarms import addresses, alarm_file, machine, records, rules_file
from hub_app.alarms.alarm_file import AlarmFile
from hub_app.alarms.conditions import MachineFacts
from hub_app.alarms.monitor import AlarmSetup
from hub_app.alarms.notices import NoticePolicy
from hub_app.alarms.notifier import Notifier
from hub_app.alarms.rules import RuleBook
from hub_app.bus_link import worker
from hub_app.history.removal import HistoryJob
from hub_app.hub import Hub
from hub_app.process.supervisor import Supervisor


def create(config: Config, files: HubFiles, supervisor: Supervisor) -> AlarmSetup:
    """Return the parts of the alarms. Raises MisconfiguredError where a file cannot be used."""
    path = files.state_dir / rules_file.FILE_NAME
    found = addresses.load(config.notify)
    own = worker.of(config)
    return AlarmSetup(
        own_node=config.cluster.node_id if own is None else own.name,
        book=RuleBook(config.alarms, rules_file.load(path)),
        file=AlarmFile(files.state_dir / alarm_file.FILE_NAME),
        rules_path=path,
        notifier=Notifier(found, supervisor=supervisor) if found else None,
        make_policy=partial(NoticePolicy, config.notify.severity, page_url=config.notify.page_url),
    )


@contextlib.asynccontextmanager
async def running(hub: Hub, setup: AlarmSetup, files: HubFiles) -> AsyncIterator[None]:
    """Run the tasks of the alarms. At the end, what has changed is written."""
    monitor = hub.alarms
    monitor.start()
    hub.history.request(
        HistoryJob(partial(records.close_others, active=lambda: monitor.keys, now_ms=now_ms()))
    )
    starts: dict[str, Callable[[], Awaitable[None]]] = {
        "alarms file": monitor.file.run,
        "machine": partial(_watch, hub, files.state_dir, files.tls_dir),
    }
    if setup.notifier is not None:
        setup.notifier.start()
    try:
        async with hub.supervisor.running(starts):
            yield
    finally:
        await monitor.file.flush()
        if setup.notifier is not None:
            await asyncio.to_thread(setup.notifier.stop)


async def _watch(hub: Hub, state_dir: Path, tls_dir: Path) -> None:
    def take(facts: MachineFacts) -> None:
        hub.alarms.facts = facts

    await machine.watch(state_dir, tls_dir, take)
