"""Report of broker and hub: versions, figures, sizes of files, quotas near their limit."""

import asyncio
import platform
import time
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import msgspec

from broker.embedded.statistics import BrokerSnapshot
from bus.files.backup_record import BackupRecord
from bus.install.version import VERSION, commit
from hub_app.history.logs.log_recorder import LogStatistics
from hub_app.history.recorder import HistoryStatistics
from hub_app.homeassistant.forward.status import ForwarderStatus
from hub_app.http.slices import sliced
from hub_app.hub import Hub
from hub_app.live.traffic import TrafficPoint
from hub_app.process.supervisor import TaskStatus
from hub_app.quota.live import QuotaUse

# Of a quota, as a part of its limit.
_NEAR = 0.8
_LIBRARIES = ("amqtt", "paho-mqtt", "starlette", "uvicorn", "sse-starlette", "wasmtime", "msgspec")
_DAY_S = 86_400.0
# As the broker counts the megabytes of its limits.
_BYTES_PER_MB = 1024 * 1024
# A shorter time says nothing of a day.
_LEAST_S = 60.0


class FileSize(msgspec.Struct, frozen=True):
    """Size of a database with its journal, and its growth since this hub first measured it."""

    bytes: int
    bytes_per_day: float | None


class SystemReport(msgspec.Struct, frozen=True):
    """State of the hub.

    `certificate_ends_ms` and `ca_ends_ms`: until when the hub's certificate, which broker and page
    use, and that of its CA are valid. `log_most_bytes` is the size that bounds the log.
    """

    versions: dict[str, str]
    uptime_s: float
    faults: list[str]
    broker_address: str
    broker: BrokerSnapshot | None
    bus_connected: bool
    browsers: int
    nodes: int
    history: HistoryStatistics
    history_file: FileSize
    logs: LogStatistics
    log_file: FileSize | None
    log_most_bytes: int
    disk_percent: float | None
    certificate_ends_ms: int | None
    ca_ends_ms: int | None
    near_quotas: list[QuotaUse]
    # The last backup, and whether nightly ones are made.
    backup: BackupRecord
    # Messages a second in and out, each minute of the last day.
    traffic: list[TrafficPoint]
    refused: dict[str, dict[str, int]]
    tasks: list[TaskStatus]
    # The forwarder to a broker of Home Assistant's own; null where there is none.
    homeassistant: ForwarderStatus | None


class SystemReporter:
    """Makes reports of one hub; it remembers the first size of each file."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._first: dict[Path, tuple[float, int]] = {}
        self._commit: str | None = None

    async def report(self) -> SystemReport:
        hub = self._hub
        if self._commit is None:
            # A clone asks git, which takes a while.
            self._commit = await asyncio.to_thread(commit)
        host, port = hub.broker.present_address
        log_path = hub.logs.path
        return SystemReport(
            versions=_versions(self._commit),
            uptime_s=round(time.monotonic() - hub.started_s, 1),
            faults=hub.faults,
            broker_address=f"{host}:{port}",
            broker=hub.broker.snapshot(),
            bus_connected=hub.bus.connected,
            browsers=len(hub.fanout),
            nodes=len(hub.state.nodes),
            history=hub.history.statistics,
            history_file=self._size(hub.history.path),
            logs=hub.logs.statistics,
            log_file=None if log_path is None else self._size(log_path),
            log_most_bytes=hub.logs.most_bytes,
            disk_percent=hub.alarms.facts.disk_percent,
            certificate_ends_ms=_ends_ms(hub, hub.alarms.facts.certificate_days),
            ca_ends_ms=_ends_ms(hub, hub.alarms.facts.ca_days),
            backup=hub.alarms.facts.backup,
            near_quotas=near(await self._high_uses()),
            traffic=hub.traffic.points,
            refused=hub.refusals.every(),
            tasks=hub.supervisor.tasks,
            homeassistant=hub.forwarder_status(),
        )

    async def _high_uses(self) -> list[QuotaUse]:
        """Return the uses that are near their limits; other tasks run after each slice of all."""
        return [use async for use in sliced(self._quota_uses()) if is_near(use)]

    def _quota_uses(self) -> Iterator[QuotaUse]:
        hub = self._hub
        yield from hub.state.quota_uses()
        yield from hub.history.quota_uses()
        broker = hub.broker.snapshot()
        if broker is not None:
            yield from broker_uses(broker)
        if hub.logs.path is not None:
            used, most = (each / 1e6 for each in (_size_of(hub.logs.path), hub.logs.most_bytes))
            yield QuotaUse("", "history.log_mb", used, most)
        if hub.alarms.facts.disk_percent is not None:
            yield QuotaUse("", "disk_percent", hub.alarms.facts.disk_percent, 100)

    def _size(self, path: Path) -> FileSize:
        now_s, size = time.monotonic(), sum(map(_size_of, (path, Path(f"{path}-wal"))))
        first_s, first = self._first.setdefault(path, (now_s, size))
        passed_s = now_s - first_s
        growth = None if passed_s < _LEAST_S else (size - first) * _DAY_S / passed_s
        return FileSize(size, growth)


def near(uses: list[QuotaUse]) -> list[QuotaUse]:
    """Return the quotas that are nearly used up, the fullest first."""
    return sorted(filter(is_near, uses), key=lambda use: -use.used / use.limit)


def is_near(use: QuotaUse) -> bool:
    return use.used >= _NEAR * use.limit


def broker_uses(broker: BrokerSnapshot) -> Iterator[QuotaUse]:
    """Yield the use of the broker's limits that hold for all clients together."""
    clients, stored = broker.clients, broker.stored
    for key, used in (
        ("connections", clients.connected),
        ("sessions", stored.sessions),
        ("retained_messages", stored.retained_messages),
        ("retained_mb", stored.retained_bytes / _BYTES_PER_MB),
        ("queued_mb", stored.queued_bytes / _BYTES_PER_MB),
    ):
        yield QuotaUse("", f"broker.{key}", used, broker.limits[key])


def _ends_ms(hub: Hub, days: float | None) -> int | None:
    return None if days is None else round(hub.now_ms() + days * _DAY_S * 1000)


def _size_of(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _versions(found_commit: str) -> dict[str, str]:
    found = {"harvester": VERSION, "commit": found_commit, "python": platform.python_version()}
    for name in _LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
