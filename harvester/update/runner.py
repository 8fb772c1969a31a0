"""Runner of an update: does the operations of the state machine on this machine.

The record is on the disk before and after each one, so another run goes on where this one ended.
"""

import logging
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from bus.clock import now_ms
from bus.errors import HarvesterError
from bus.install import update_record
from bus.install.update_record import UnitBefore, UpdateRecord
from harvester.install.system import System
from harvester.update import databases, machine
from harvester.update.environments import Environments
from harvester.update.judgement import Judgement, Limits, Verdict
from harvester.update.machine import Operation
from harvester.update.services import Services

logger = logging.getLogger(__name__)

_POLL_S = 1.0
# Of an update itself the units come last, with the version that is kept.
_OWN_UNITS, _UNITS = "harvester-update.*", "harvester-[!u]*"


class Runner:
    """One machine's update. `has_hub` tells whether the hub can be reached, which a node needs."""

    def __init__(
        self,
        system: System,
        *,
        limits: Limits | None = None,
        has_hub: Callable[[], bool] = lambda: True,
        clock: Callable[[], float] = time.monotonic,
        wait: Callable[[float], None] = time.sleep,
    ) -> None:
        self._system = system
        self._limits = limits or Limits()
        self._has_hub = has_hub
        self._clock, self._wait = clock, wait
        self.environments = Environments(system)
        self.services = Services(system, wait)
        self._operations: dict[Operation, Callable[[UpdateRecord], UpdateRecord | None]] = {
            Operation.SAVE_DATABASES: self._save_databases,
            Operation.SWITCH: self._switch,
            Operation.START: self._start,
            Operation.JUDGE: self._judge,
            Operation.KEEP: self._keep,
            Operation.SWITCH_BACK: self._switch_back,
            Operation.RESTORE: self._restore,
        }

    @property
    def file(self) -> Path:
        return self._system.path(update_record.FILE)

    def load(self) -> UpdateRecord:
        return update_record.load(self.file)

    def before(self, names: list[str]) -> dict[str, UnitBefore]:
        """Return what an update must not make worse.

        A service that has just started has stored nothing yet, so it gets the time of judgement.
        """
        until_s = self._clock() + self._limits.judged_s
        units = self.services.observe(names)
        while self._clock() < until_s and not all(unit.has_shown_itself for unit in units.values()):
            self._wait(_POLL_S)
            units = self.services.observe(names)
        return {name: unit.before for name, unit in units.items()}

    def save(self, record: UpdateRecord) -> UpdateRecord:
        """Write the record, with the time where its phase is another one; return it."""
        if record.phase != self.load().phase:
            record = msgspec.structs.replace(record, since_ms=now_ms())
        update_record.save(self.file, record)
        return record

    def resume(self) -> UpdateRecord:
        """Take up what was interrupted; return the record."""
        record = self.load()
        if record.is_ended:
            return record
        return self.save(machine.resumed(record, self.environments.in_use))

    def run(self, record: UpdateRecord) -> UpdateRecord:
        """Do every operation until the update has ended; return the last record."""
        while True:
            operation = machine.next_operation(record, self.environments.in_use)
            if operation is None:
                return record
            logger.info("%s: %s", record.target or record.new, operation.value)
            record = self.save(self._do(operation, record))

    def _do(self, operation: Operation, record: UpdateRecord) -> UpdateRecord:
        """Return the record after an operation; one that fails on the way there turns it back."""
        try:
            changed = self._operations[operation](record)
        except HarvesterError as e:
            if operation not in machine.ON_THE_WAY:
                raise
            return machine.judged(record, str(e))
        return changed or machine.done(record, operation)

    def _save_databases(self, record: UpdateRecord) -> UpdateRecord | None:
        if not record.databases:
            return None
        self.services.stop(self.services.names)
        # A node that stops moves its outbox from RAM to the disk: the file in RAM is gone, and the
        # one on the disk may be new.
        names = {Path(each.path).name for each in record.databases}
        found = databases.find(self._system, names)
        databases.save(found)
        saved = machine.done(record, Operation.SAVE_DATABASES)
        return msgspec.structs.replace(saved, databases=found)

    def _switch(self, record: UpdateRecord) -> None:
        self.environments.use(record.new)

    def _start(self, record: UpdateRecord) -> None:
        self.services.bring_units(self.environments, record.new, _UNITS)
        self.services.restart(self.services.names)

    def _judge(self, record: UpdateRecord) -> UpdateRecord:
        names = self.services.names
        judgement = Judgement(record.before, self._limits, self._clock())
        verdict: Verdict | None = None
        while verdict is None:
            self._wait(_POLL_S)
            units = self.services.observe(names)
            has_hub = any(unit.is_connected for unit in units.values()) or self._has_hub()
            verdict = judgement.observe(self._clock(), units, has_hub=has_hub)
        return machine.judged(record, verdict.reason)

    def _keep(self, record: UpdateRecord) -> UpdateRecord:
        self.environments.update_with(record.new)
        databases.drop_copies(record.databases)
        self.environments.remove_others({record.old, record.new})
        if self.services.bring_units(self.environments, record.new, _OWN_UNITS):
            self.services.reload()
        logger.info("%s is kept", record.target)
        return msgspec.structs.replace(machine.done(record, Operation.KEEP), previous=record.old)

    def _switch_back(self, record: UpdateRecord) -> None:
        logger.error("%s is rolled back: %s", record.target, record.reason)
        self.environments.use(record.old)

    def _restore(self, record: UpdateRecord) -> None:
        if record.databases:
            self.services.stop(self.services.names)
            for path in databases.restore(record.databases):
                logger.warning("%s is as it was before the update", path)
            databases.drop_copies(record.databases)
        self.services.bring_units(self.environments, record.old, _UNITS)
        self.services.restart(self.services.names)
        self.environments.remove_others({record.old, record.previous})
