"""Hub that does not run, with some of everything that a backup holds."""

from pathlib import Path

from broker.auth import accounts
from broker.auth.gate import Role
from broker.embedded.store.file import StoreFile
from bus.contract.messages import Reading
from bus.files import json_file, private_file
from bus.files.database import transaction
from harvester import cli
from hub_app.history.logs.log_file import LogFile, LogLine
from hub_app.history.schema import open_history
from hub_app.history.writer import Arrival, Writer

NOW_MS = 1_795_000_200_000
# With what SQLite keeps beside a database.
_CHANGING = (".lock", ".db", ".sqlite3")
FAN = "harvester/pi4/fan/cmd"
NOTIFY = "mailto://user:secret@example.org\n"


class SmallHub:
    """A hub in a folder: `hub.toml`, its state and a file of secrets."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.config = folder / "hub.toml"
        self.state = folder / "state"
        self.notify = folder / "notify"

    def fill(self, readings: int = 50) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.config.write_text(
            '[cluster]\nnode_id = "revpi"\nrole = "hub"\n'
            '[storage]\nstate_dir = "state"\n[notify]\naddresses_file = "notify"\n'
        )
        self.config.chmod(0o640)
        private_file.write(self.notify, NOTIFY.encode())
        path = self.state / "accounts.json"
        accounts.enroll(path, "pi4")
        accounts.set_password(path, "ann", Role.OPERATOR, "correct horse")
        json_file.save(self.state / "plugins" / "bme680.json", {"baseline": "12"})
        (self.state / "tls").mkdir(mode=0o700)
        private_file.write(self.state / "tls" / "ca.key", b"KEY")
        (self.state / "outbox.db").write_bytes(b"on its way")
        self.store(readings)
        log = LogFile(self.state / "logs.db", 10**9, 10**9)
        log.add([LogLine("pi4", NOW_MS, NOW_MS, "info", "agent", "started")])
        log.close()
        self.fill_broker()

    def store(self, count: int, stream: str = "s") -> None:
        db = open_history(self.state / "history.db")
        try:
            Writer(db).store(
                [
                    Arrival(Reading("pi4", "air", NOW_MS + i, stream, i, {"t": 1.5}, "air"), False)
                    for i in range(count)
                ],
                [],
                NOW_MS,
            )
        finally:
            db.close()

    def fill_broker(self) -> None:
        store = StoreFile(self.state / "broker" / "broker.sqlite3")
        store.load()
        store.write(
            {
                ("retained", ("a/b",)): ("a/b", b"kept", 1, NOW_MS, b"", ""),
                ("sessions", ("pi4",)): ("pi4", "pi4", NOW_MS, None),
                ("messages", (1,)): (1, "pi4", FAN, b"on", 1, 0, None, NOW_MS, 0, b"", ""),
            }
        )
        store.close()

    def run(self, *arguments: str) -> None:
        cli.main([*arguments, "--config", str(self.config)])

    def readings(self) -> int:
        db = open_history(self.state / "history.db")
        try:
            (count,) = db.execute("SELECT count(*) FROM every_reading").fetchone()
        finally:
            db.close()
        return int(count)

    def snapshot(self) -> dict[str, tuple[int, bytes]]:
        """Return mode and content of the files that a restore replaces, by their names.

        Of a database, its rows count, not its bytes.
        """
        found = {"hub.toml": self.config, "notify": self.notify}
        for path in sorted(self.state.rglob("*")):
            is_own = not any(part.startswith(("before-", ".")) for part in path.parts)
            if path.is_file() and is_own and not path.suffix.startswith(_CHANGING):
                found[str(path.relative_to(self.state))] = path
        return {
            name: (path.stat().st_mode & 0o777, path.read_bytes())
            for name, path in found.items()
            if path.exists()
        }


def corrupt(path: Path, statement: str) -> None:
    """Change a database by hand."""
    db = open_history(path)
    try:
        with transaction(db):
            db.execute(statement)
    finally:
        db.close()
