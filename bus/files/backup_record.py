"""Record of the hub's backups: the last one, and whether nightly ones are made.

The hub reads what `harvester backup` wrote, so that it need not look into the folder of backups,
which may be on another machine.
"""

from pathlib import Path

import msgspec

from bus.errors import MisconfiguredError
from bus.files import private_file

RECORD_NAME = "backups.json"


class BackupRecord(msgspec.Struct, frozen=True):
    """The last backup: its time, its size and its file; 0 and empty where there is none yet.

    `nightly_since_ms` and `nightly_ms` are the first attempt of a nightly backup and the last one
    that succeeded, 0 for none; `fault` says why the last attempt failed.
    """

    last_ms: int = 0
    last_bytes: int = 0
    file: str = ""
    nightly_since_ms: int = 0
    nightly_ms: int = 0
    fault: str = ""

    def nightly_age_ms(self, now_ms: int) -> int | None:
        """Return the age of the last nightly backup; None where nobody asked for any."""
        if not self.nightly_since_ms:
            return None
        return max(0, now_ms - max(self.nightly_ms, self.nightly_since_ms))


def load(state_dir: Path) -> BackupRecord:
    """Return the record; an empty one where there is none that can be read."""
    try:
        return msgspec.json.decode(private_file.read(state_dir / RECORD_NAME), type=BackupRecord)
    except (FileNotFoundError, MisconfiguredError, msgspec.MsgspecError, UnicodeDecodeError):
        return BackupRecord()


def save(state_dir: Path, record: BackupRecord) -> None:
    """Replace the record. Raises MisconfiguredError where it cannot be written."""
    private_file.write(state_dir / RECORD_NAME, msgspec.json.encode(record))
