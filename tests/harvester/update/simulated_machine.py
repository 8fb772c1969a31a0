"""A machine in a folder: environments, links, one database and a systemd that is played."""

import contextlib
import shutil
import sqlite3
from collections.abc import Sequence
from pathlib import Path

from bus.errors import UnavailableError
from bus.install import update_record
from bus.install.update_record import PREPARED, SavedDatabase, UnitBefore, UpdateRecord
from bus.install.vital_signs import VitalSigns
from harvester.install.environment import ENVIRONMENTS, IDENTITY_FILE, LINK, UPDATER_LINK
from harvester.install.system import System
from harvester.update.judgement import Limits
from harvester.update.runner import Runner

OLD, NEW = "0.1.0-old", "0.2.0-new"
UNIT = "harvester-agent@spoke.service"
GOOD = str(VitalSigns(stored=5, connected=1))


class SimulatedMachine:
    """Services run the linked environment; the new version changes the database's tables.

    `status` is the new version's status line, `state` its state as systemd names it.
    """

    def __init__(
        self,
        root: Path,
        *,
        status: str = GOOD,
        state: str = "active",
        limits: Limits | None = None,
    ) -> None:
        self.root = root
        self.system = System(root=root, run=self._run)
        self.database = root / "var/lib/harvester-agent/pi4/outbox.db"
        self.database_in_ram = root / "run/harvester-agent-spoke/outbox.db"
        self.restarts = 0
        # The next requests to restart something that systemd does not answer.
        self.busy = 0
        # The status lines that the old version tells first, one each time that it is asked.
        self.old_statuses: list[str] = []
        self._status, self._state = status, state
        self._now_s = 0.0
        self._limits = limits

    def make(self) -> None:
        for name in (OLD, NEW):
            folder = self.system.path(f"{ENVIRONMENTS}/{name}")
            folder.mkdir(parents=True)
            (folder / IDENTITY_FILE).write_text(f"{name}\n")
        for link in (LINK, UPDATER_LINK):
            self.system.path(link).symlink_to(Path(ENVIRONMENTS) / OLD)
        for database in (self.database, self.database_in_ram):
            database.parent.mkdir(parents=True)
        self.database_in_ram.touch()
        self._execute("CREATE TABLE reading (id); INSERT INTO reading VALUES (1);", version=1)

    def prepared(self) -> UpdateRecord:
        return UpdateRecord(
            phase=PREPARED,
            old=OLD,
            new=NEW,
            version="0.1.0",
            target="0.2.0",
            databases=[
                SavedDatabase(str(self.database), 1),
                SavedDatabase(str(self.database_in_ram), 1),
            ],
            before={UNIT: UnitBefore(stores=True, faults=0)},
        )

    def runner(self) -> Runner:
        return Runner(self.system, limits=self._limits, clock=lambda: self._now_s, wait=self._pass)

    def begin(self) -> UpdateRecord:
        return self.runner().save(self.prepared())

    def boot(self) -> None:
        """Start the services of the linked environment, as systemd does."""
        if self.in_use == NEW and self.version == 1:
            self._execute("ALTER TABLE reading ADD COLUMN more;", version=2)

    @property
    def record(self) -> UpdateRecord:
        return update_record.load(self.system.path(update_record.FILE))

    @property
    def in_use(self) -> str:
        return self.system.path(LINK).readlink().name

    @property
    def updater(self) -> str:
        return self.system.path(UPDATER_LINK).readlink().name

    @property
    def version(self) -> int:
        with contextlib.closing(sqlite3.connect(self.database)) as db:
            return int(db.execute("PRAGMA user_version").fetchone()[0])

    @property
    def is_working(self) -> bool:
        """Whether the linked environment is whole and reads the database with its rows."""
        name = self.in_use
        is_whole = (self.system.path(f"{ENVIRONMENTS}/{name}") / IDENTITY_FILE).is_file()
        with contextlib.closing(sqlite3.connect(self.database)) as db:
            rows = db.execute("SELECT count(*) FROM reading").fetchone()[0]
        return is_whole and rows == 1 and self.version <= (2 if name == NEW else 1)

    def _execute(self, script: str, version: int) -> None:
        with contextlib.closing(sqlite3.connect(self.database)) as db:
            db.executescript(
                f"PRAGMA journal_mode=WAL; BEGIN; {script} PRAGMA user_version={version}; COMMIT;"
            )

    def _pass(self, seconds: float) -> None:
        self._now_s += seconds

    def _now_told(self) -> tuple[str, str]:
        if self.in_use == NEW:
            return self._status, self._state
        return (self.old_statuses.pop(0) if self.old_statuses else GOOD), "active"

    def _run(self, words: Sequence[str]) -> str:
        if "is-enabled" in words and UNIT not in words:
            raise UnavailableError("disabled")
        if "stop" in words:
            # RuntimeDirectoryPreserve=restart.
            shutil.rmtree(self.database_in_ram.parent, ignore_errors=True)
        if "restart" in words and self.busy:
            self.busy -= 1
            raise UnavailableError("Connection reset by peer")
        if "restart" in words:
            self.restarts += 1
            self.boot()
        if "show" in words:
            status, state = self._now_told()
            return f"ActiveState={state}\nNRestarts=0\nStatusText={status}\n"
        return ""
