"""Numbers and clock state of new readings, and steps of the machine's clock. Pure."""

import logging
import secrets

import msgspec

from bus.clock import Moment
from bus.contract.messages import ClockState, Reading, Value
from bus.outbox.file import JUMP_MS

logger = logging.getLogger(__name__)

# A time that is further from the machine's clock comes from another clock.
_FOREIGN_MS = 10_000


class Sample(msgspec.Struct, frozen=True):
    """One reading before it is numbered."""

    sensor_id: str
    timestamp_ms: int
    data: dict[str, Value]


class Numbering:
    """Turns samples into readings of one stream, which begins with the process.

    A number is thus never given twice, whatever becomes of the outbox's files.
    """

    def __init__(self, node: str, boot_id: str) -> None:
        self._node = node
        self._boot_id = boot_id
        self.stream = secrets.token_hex(8)
        self.next_seq = 0

    def number(self, sample: Sample, plugin: str, moment: Moment) -> Reading:
        """Return `sample` as the next reading, with the state of the clock at `moment`."""
        seq, self.next_seq = self.next_seq, self.next_seq + 1
        known = (self._node, sample.sensor_id, sample.timestamp_ms, self.stream, seq, sample.data)
        monotonic_ms = sample.timestamp_ms - moment.offset_ms
        if abs(sample.timestamp_ms - moment.wall_ms) > _FOREIGN_MS or monotonic_ms < 0:
            return Reading(*known, plugin)
        clock: ClockState = "set" if moment.is_set else "unset"
        return Reading(*known, plugin, self._boot_id, monotonic_ms, clock)


class ClockWatch:
    """Notices when the machine's clock is set, and whether readings have to be dated again."""

    def __init__(self, moment: Moment) -> None:
        self._offset_ms = moment.offset_ms
        # Readings of an earlier run may be in the files.
        self._has_unset = True
        self._set_at: Moment | None = None

    def look(self, moment: Moment) -> None:
        """Compare the clock with the last look."""
        step_ms = moment.offset_ms - self._offset_ms
        self._offset_ms = moment.offset_ms
        has_jumped = abs(step_ms) > JUMP_MS
        if has_jumped:
            logger.warning("the clock was set: it jumped by %+.1f s", step_ms / 1000)
        if self._has_unset and (moment.is_set or has_jumped):
            self._set_at = moment
            self._has_unset = not moment.is_set

    def note(self, reading: Reading) -> None:
        """Note a new reading: one with an unset clock has to be dated again later."""
        self._has_unset = self._has_unset or reading.clock == "unset"

    def take_set(self) -> Moment | None:
        """Return the moment at which the clock was set, once; else None."""
        moment, self._set_at = self._set_at, None
        return moment
