"""Measurement of the hub's machine for alarms: its disk, certificate and backups."""

import asyncio
import datetime as dt
import shutil
import ssl
from collections.abc import Callable
from pathlib import Path

from broker.auth.server_tls import CA_NAME, CERTIFICATE_NAME
from bus.client.certificate_dates import validity
from bus.files import backup_record
from hub_app.alarms.conditions import MachineFacts

_INTERVAL_S = 60.0
_DAY_S = 86_400.0
_HOUR_MS = 3_600_000


def measure(state_dir: Path, tls_dir: Path, now: dt.datetime) -> MachineFacts:
    """Return what can be measured; it may wait for the disk."""
    hub, ca = (_valid_days(tls_dir / name, now) for name in (CERTIFICATE_NAME, CA_NAME))
    record = backup_record.load(state_dir)
    age_ms = record.nightly_age_ms(round(now.timestamp() * 1000))
    hours = None if age_ms is None else age_ms / _HOUR_MS
    return MachineFacts(_disk_percent(state_dir), hub, ca, hours, record)


async def watch(state_dir: Path, tls_dir: Path, take: Callable[[MachineFacts], None]) -> None:
    """Measure every minute, until cancelled."""
    while True:
        now = dt.datetime.now(dt.UTC)
        take(await asyncio.to_thread(measure, state_dir, tls_dir, now))
        await asyncio.sleep(_INTERVAL_S)


def _disk_percent(folder: Path) -> float | None:
    try:
        usage = shutil.disk_usage(folder)
    except OSError:
        return None
    # As `df` has it: what is reserved for root counts neither as used nor as free.
    usable = usage.used + usage.free
    return 100.0 * usage.used / usable if usable else None


def _valid_days(certificate: Path, now: dt.datetime) -> float | None:
    """Return the days that a certificate is still valid; None where there is none."""
    try:
        der = ssl.PEM_cert_to_DER_cert(certificate.read_text())
        until = validity(der).not_after
    except (OSError, ValueError):
        return None
    return (until - now).total_seconds() / _DAY_S
