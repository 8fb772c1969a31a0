"""Update of this node's machine: its record on the bus, and the command to look for one.

Root's unit does the update and writes the record. This program can ask it to look at the hub, and
publish what became of it.
"""

from pathlib import Path
from typing import Protocol

from bus.contract.bounds import MAX_ERROR_CHARS
from bus.contract.commands import parse_update
from bus.contract.messages import Message, UpdateState
from bus.contract.topics import TopicKind
from bus.errors import BadCommandError, MisconfiguredError, UnavailableError
from bus.fault import Fault
from bus.files.file_stamp import FileStamp, stamp_of
from bus.install import update_record, update_request
from bus.install.update_record import UpdateRecord


class Bus(Protocol):
    """The part of a node's bus that this needs."""

    def publish(self, kind: TopicKind, message: Message, name: str = "") -> bool: ...


class MachineUpdate:
    """Publishes the record in `record_file` where it changed; requests go to `runtime_dir`."""

    def __init__(
        self,
        bus: Bus,
        runtime_dir: Path,
        *,
        record_file: Path = Path(update_record.FILE),
        trust_file: Path = Path(update_request.TRUST_FILE),
    ) -> None:
        self._bus = bus
        self._runtime_dir = runtime_dir
        self._record_file, self._trust_file = record_file, trust_file
        self._stamp: FileStamp = None
        self._fault = Fault(f"{record_file}: reading")

    def publish_changed(self) -> None:
        """Publish the record where it is another one than the last time."""
        stamp = stamp_of(self._record_file)
        if stamp is None or stamp == self._stamp:
            return
        try:
            record = update_record.load(self._record_file)
        except MisconfiguredError as e:
            self._fault.failed(str(e))
            return
        self._fault.worked()
        if self._bus.publish(TopicKind.UPDATE, state_of(record)):
            self._stamp = stamp

    def publish_all(self) -> None:
        """Publish the record again after a connection: the broker may have lost it."""
        self._stamp = None
        self.publish_changed()

    def command(self, payload: bytes) -> None:
        """Execute a command for updates. Raises BadCommandError with a sentence."""
        parse_update(payload)
        if not self._trust_file.exists():
            raise BadCommandError(
                f"found no {self._trust_file}, the hub that this machine takes updates from: run "
                "`harvester install node --credentials FILE` there"
            )
        try:
            update_request.make(self._runtime_dir)
        except UnavailableError as e:
            raise BadCommandError(str(e)) from e


def state_of(record: UpdateRecord) -> UpdateState:
    """Return the message that tells of a record."""
    return UpdateState(
        phase=record.phase,
        version=record.version[:80],
        target=record.target[:80],
        reason=record.reason[:MAX_ERROR_CHARS],
        since_ms=record.since_ms,
    )
