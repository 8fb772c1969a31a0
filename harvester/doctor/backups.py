"""Check of the hub's nightly backups."""

import datetime as dt
import os
from collections.abc import Iterator
from pathlib import Path

from bus.files import backup_record
from harvester.doctor.finding import Finding, advice, missing, ok
from harvester.doctor.machine import Machine, is_there

_WHAT = "backup"
_HOUR_MS = 3_600_000
# As the built-in alarm backup-old.
_OLD_HOURS = 48
# What `systemctl enable` makes.
_TIMER = "/etc/systemd/system/timers.target.wants/harvester-backup.timer"
_TURN_ON = "sudo systemctl enable --now harvester-backup.timer"
_TO_COME = "the first nightly one is still to come"
_TRY = "sudo systemctl start harvester-backup; journalctl -u harvester-backup -n 20"


def backup_findings(state_dir: Path, now_ms: int, machine: Machine) -> Iterator[Finding]:
    """Check the last nightly backup; nothing where this user may not see the hub's state."""
    if not os.access(state_dir, os.R_OK | os.X_OK):
        return
    record = backup_record.load(state_dir)
    age_ms = record.nightly_age_ms(now_ms)
    if age_ms is None and is_there(machine.path(_TIMER)):
        yield ok(_WHAT, _TO_COME)
    elif age_ms is None:
        last = f"the last one is of {_day(record.last_ms)}" if record.last_ms else "none yet"
        yield advice(_WHAT, f"{last}, and no nightly ones", _TURN_ON)
    elif record.fault or age_ms > _OLD_HOURS * _HOUR_MS:
        last = _day(record.nightly_ms) if record.nightly_ms else "none yet"
        reason = f": {record.fault}" if record.fault else ""
        yield missing(_WHAT, f"last nightly one: {last}{reason}", _TRY)
    elif record.nightly_ms:
        yield ok(_WHAT, f"{record.file}, {record.last_bytes / 1e6:.1f} MB")
    else:
        yield ok(_WHAT, _TO_COME)


def _day(at_ms: int) -> str:
    return f"{dt.datetime.fromtimestamp(at_ms / 1000, dt.UTC):%Y-%m-%d %H:%M UTC}"
