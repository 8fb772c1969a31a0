"""An outbox on files of a test, with a clock that the test moves."""

from pathlib import Path

from bus.clock import Clock, Moment
from bus.config.outbox_table import OutboxConfig
from bus.contract.messages import Reading
from bus.outbox.outbox import Outbox, Sample

START_MS = 1_795_000_000_000


class FakeClock(Clock):
    def __init__(self, boot_id: str = "boot") -> None:
        self.boot_id = boot_id
        self.elapsed_s = 100.0
        self.offset_ms = START_MS
        self.is_set = True

    def now(self) -> Moment:
        elapsed_ms = round(self.elapsed_s * 1000)
        return Moment(self.offset_ms + elapsed_ms, elapsed_ms, self.is_set)


class Box:
    """An outbox that can be opened again, as after a kill."""

    def __init__(self, directory: Path, **keys: float) -> None:
        self.clock = FakeClock()
        self.settings = OutboxConfig(**keys)  # type: ignore[arg-type]
        self.ram = directory / "run" / "outbox.db"
        self.disk = directory / "state" / "outbox.db"
        self.box = self.open()

    def open(self) -> Outbox:
        self.box = Outbox("pi4", self.settings, self.ram, self.disk, self.clock)
        return self.box

    def kill(self) -> None:
        """Let go of the files as a process does that dies: nothing is moved or deleted."""
        self.box._ram.close()
        self.box._disk._stored.clear()
        self.box._disk.close()
        self.box._claim.close()

    def add(self, *values: int) -> None:
        stamp_ms = self.clock.now().wall_ms
        self.box.add([Sample("room", stamp_ms, {"n": value}) for value in values], "plugin")

    def everything(self) -> list[Reading]:
        """Return all that would be sent as backlog, once everything is old."""
        elapsed_s, self.clock.elapsed_s = self.clock.elapsed_s, self.clock.elapsed_s + 1000
        found: list[Reading] = []
        after = None
        while batch := self.box.backlog(after, self.settings.live_s):
            found += batch
            after = (batch[-1].stream, batch[-1].seq)
        self.clock.elapsed_s = elapsed_s
        return found
