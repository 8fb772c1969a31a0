r"""State machine of an update: the next operation by its record and the link in use. Pure.

    prepared -> saved -> trial -> keeping -> kept
                  \        \-> rolling-back -> rolled-back
                   \-> prepared, after a power cut

The record is written after each operation, and each operation may be repeated. So whatever moment
the power is cut at, `resumed` and `next_operation` go on from what is on the disk.
"""

import enum

import msgspec

from bus.install.update_record import (
    FAILED,
    FETCHING,
    INSTALLING,
    KEEPING,
    KEPT,
    PREPARED,
    ROLLED_BACK,
    ROLLING_BACK,
    SAVED,
    TRIAL,
    UpdateRecord,
)

# An update that is started more often, as power cuts interrupted it, is given up.
MOST_STARTS = 4


class Operation(enum.Enum):
    """One part of an update, which may be repeated after a power cut."""

    SAVE_DATABASES = "save databases that the new version changes"
    SWITCH = "switch to the new environment"
    START = "start the services again"
    JUDGE = "judge the new version"
    KEEP = "keep the new version"
    SWITCH_BACK = "switch back to the old environment"
    RESTORE = "restore changed databases and start the services again"


# Operations that end in a roll-back where they fail.
ON_THE_WAY = frozenset(
    {Operation.SAVE_DATABASES, Operation.SWITCH, Operation.START, Operation.JUDGE}
)
_NEXT_PHASE = {
    Operation.SAVE_DATABASES: SAVED,
    Operation.START: TRIAL,
    Operation.KEEP: KEPT,
    Operation.RESTORE: ROLLED_BACK,
}


def next_operation(record: UpdateRecord, link: str) -> Operation | None:
    """Return what is to be done now; None where nothing is under way.

    `link` is the name of the environment in use.
    """
    if record.phase == PREPARED:
        return Operation.SAVE_DATABASES
    if record.phase == SAVED:
        return Operation.START if link == record.new else Operation.SWITCH
    if record.phase == TRIAL:
        return Operation.JUDGE
    if record.phase == KEEPING:
        return Operation.KEEP
    if record.phase == ROLLING_BACK:
        return Operation.RESTORE if link == record.old else Operation.SWITCH_BACK
    return None


def done(record: UpdateRecord, operation: Operation) -> UpdateRecord:
    """Return the record after an operation that is not the judgement."""
    phase = _NEXT_PHASE.get(operation, record.phase)
    return msgspec.structs.replace(record, phase=phase)


def judged(record: UpdateRecord, reason: str) -> UpdateRecord:
    """Return the record after the judgement; an empty reason keeps the new version."""
    phase = ROLLING_BACK if reason else KEEPING
    return msgspec.structs.replace(record, phase=phase, reason=reason)


def resumed(record: UpdateRecord, link: str) -> UpdateRecord:
    """Return the record with which an interrupted update goes on."""
    if record.phase in (FETCHING, INSTALLING):
        return _begun_again(record)
    if record.is_ended or record.phase in (KEEPING, ROLLING_BACK):
        return record
    if link not in (record.old, record.new):
        reason = f"another environment is in use meanwhile: {link}"
        return msgspec.structs.replace(record, phase=FAILED, reason=reason)
    starts = record.starts + 1
    if starts > MOST_STARTS:
        reason = f"it was interrupted {starts - 1} times"
        return msgspec.structs.replace(record, phase=ROLLING_BACK, reason=reason, starts=starts)
    # The services have run since: copies of their databases are made again.
    starts_over = record.phase == SAVED and link == record.old
    phase = PREPARED if starts_over else record.phase
    return msgspec.structs.replace(record, phase=phase, starts=starts)


def _begun_again(record: UpdateRecord) -> UpdateRecord:
    """Return the record of an update that was interrupted before anything was in place."""
    starts = record.starts + 1
    if starts > MOST_STARTS:
        reason = f"it was interrupted {starts - 1} times before the new version was installed"
        return msgspec.structs.replace(record, phase=FAILED, reason=reason, starts=starts)
    return msgspec.structs.replace(record, phase=FETCHING, starts=starts)
