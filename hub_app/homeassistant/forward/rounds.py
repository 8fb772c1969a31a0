"""Times of the forwarder's periodic work. Pure: the time is handed in."""

import msgspec


class ForwarderTimes(msgspec.Struct, frozen=True):
    """Times in seconds, which tests shorten."""

    # After a loop was found, the next attempt.
    loop_retry_s: float = 60.0
    probe_s: float = 60.0
    # No answer for so long is an error to be shown.
    answer_s: float = 10.0
    # From the start until topics of an earlier run are emptied.
    leftovers_s: float = 60.0
    file_s: float = 10.0
    # Random time until Home Assistant's birth is answered, so that not all devices answer at once.
    birth_s: tuple[float, float] = (1.0, 10.0)


class Rounds:
    """Times at which the parts of the work are due, from `now_s` on."""

    def __init__(self, times: ForwarderTimes, now_s: float) -> None:
        self._times = times
        self._leftovers_at_s: float | None = now_s + times.leftovers_s
        self._file_at_s = now_s + times.file_s
        self._saved_changes = 0
        self._probe_at_s = now_s + times.probe_s
        self._absent_since_s: float | None = None
        self._unconfirmed_since_s: float | None = None

    def are_leftovers_due(self, now_s: float, *, is_bus_up: bool) -> bool:
        """Return True once, when everything that the hub's bus has must have come."""
        if self._leftovers_at_s is not None and not is_bus_up:
            self._leftovers_at_s = now_s + self._times.leftovers_s
        if self._leftovers_at_s is None or now_s < self._leftovers_at_s:
            return False
        self._leftovers_at_s = None
        return True

    def is_file_due(self, now_s: float, changes: int) -> bool:
        """Whether the file is to be written; `changes` counts those of its content."""
        if now_s < self._file_at_s or changes == self._saved_changes:
            return False
        self._file_at_s, self._saved_changes = now_s + self._times.file_s, changes
        return True

    def is_probe_due(self, now_s: float) -> bool:
        if now_s < self._probe_at_s:
            return False
        self._probe_at_s = now_s + self._times.probe_s
        return True

    def absent_for_s(self, now_s: float) -> float:
        """Return for how long there has been no connection."""
        self._unconfirmed_since_s = None
        if self._absent_since_s is None:
            self._absent_since_s = now_s
        return now_s - self._absent_since_s

    def present(self) -> None:
        """Note that there is a connection."""
        self._absent_since_s = None

    def unconfirmed_for_s(self, now_s: float, *, is_confirmed: bool) -> float:
        """Return for how long everything was sent and the forwarder's state did not come back."""
        if is_confirmed or self._unconfirmed_since_s is None:
            self._unconfirmed_since_s = None if is_confirmed else now_s
            return 0.0
        return now_s - self._unconfirmed_since_s
