"""Record of a machine's update: what is under way, or what became of the last one.

One file of root's, which services may read: the agent publishes it. It is replaced at once, so
after a power cut it has the old content or the new. `harvester.update` writes it.
"""

from pathlib import Path

import msgspec

from bus.errors import MisconfiguredError
from bus.files import whole_file

DIRECTORY = "/var/lib/harvester-update"
FILE = f"{DIRECTORY}/update.json"
_MODE = 0o644

# In the order of an update: from "prepared" on, it goes on after a power cut.
NONE, FETCHING, INSTALLING = "", "fetching", "installing"
PREPARED, SAVED, TRIAL, KEEPING = "prepared", "saved", "trial", "keeping"
ROLLING_BACK = "rolling-back"
KEPT, ROLLED_BACK, FAILED, UP_TO_DATE = "kept", "rolled-back", "failed", "up-to-date"
ENDED = frozenset({NONE, KEPT, ROLLED_BACK, FAILED, UP_TO_DATE})


class SavedDatabase(msgspec.Struct, frozen=True):
    """A database of which a copy was made beside it, and the version of its tables then."""

    path: str
    version: int


class UnitBefore(msgspec.Struct, frozen=True):
    """A service before the update: whether its readings were stored, and its faults.

    None: it did not tell.
    """

    stores: bool = True
    faults: int | None = None


class UpdateRecord(msgspec.Struct, frozen=True, kw_only=True):
    """`old`, `new` and `previous` are names of environments; the last one is for `rollback`.

    `version` is that of the old one, `target` that of the new one. `starts` counts how often the
    update was begun or taken up again.
    """

    phase: str = NONE
    old: str = ""
    new: str = ""
    previous: str = ""
    version: str = ""
    target: str = ""
    reason: str = ""
    since_ms: int = 0
    starts: int = 0
    databases: list[SavedDatabase] = []
    before: dict[str, UnitBefore] = {}

    @property
    def is_ended(self) -> bool:
        return self.phase in ENDED


def load(path: Path) -> UpdateRecord:
    """Return the record; an empty one where there is none. Raises MisconfiguredError."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=UpdateRecord)
    except FileNotFoundError:
        return UpdateRecord()
    except (msgspec.MsgspecError, UnicodeDecodeError) as e:
        raise MisconfiguredError(f"{path}: found no record of an update: {e}; remove it") from e
    except OSError as e:
        raise MisconfiguredError(f"{path}: {e.strerror}; expected a readable file") from e


def save(path: Path, record: UpdateRecord) -> None:
    """Replace the record, durably. Raises MisconfiguredError where it cannot be written."""
    try:
        path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        whole_file.replace(path, msgspec.json.encode(record), mode=_MODE)
    except OSError as e:
        raise MisconfiguredError(f"{path}: cannot be written: {e.strerror}") from e
