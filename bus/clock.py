"""Wall clock, monotonic clock and NTP state.

A Raspberry Pi has no battery for its clock: until NTP answers, the clock continues from the time
of the last shutdown.
"""

import ctypes
import time
from pathlib import Path

import msgspec

DAY_MS = 86_400_000

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
# systemd-timesyncd creates this at its first answer (systemd-timesyncd.service(8), FILES).
_SYNCHRONIZED = Path("/run/systemd/timesync/synchronized")
# 2025-01-01: before this system was written, so no reading can be older.
_EARLIEST_MS = 1_735_689_600_000
# adjtimex(2): the clock is not synchronized.
_STA_UNSYNC = 0x0040
# struct timex of adjtimex(2) is 208 bytes; `status` stands behind an int, which is padded, and
# four longs.
_TIMEX_BYTES = 208
_STATUS_OFFSET = 5 * ctypes.sizeof(ctypes.c_long)


def now_ms() -> int:
    """Return Unix time in milliseconds, UTC."""
    return time.time_ns() // 1_000_000


class Moment(msgspec.Struct, frozen=True):
    """The clocks at one moment. `monotonic_ms` counts from the machine's boot, sleep included."""

    wall_ms: int
    monotonic_ms: int
    is_set: bool

    @property
    def offset_ms(self) -> int:
        """The difference of Unix time and monotonic time; it converts times of this boot."""
        return self.wall_ms - self.monotonic_ms


class Clock:
    """The machine's clocks. `boot_id` names this boot of the machine, not of a program."""

    def __init__(self) -> None:
        self.boot_id = _boot_id()

    def now(self) -> Moment:
        wall_ms = now_ms()
        monotonic_ms = time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000
        return Moment(wall_ms, monotonic_ms, wall_ms >= _EARLIEST_MS and _is_synchronized())


def _boot_id() -> str:
    try:
        return _BOOT_ID.read_text().strip().replace("-", "")[:16]
    except OSError:
        # No Linux: one run of the program is all that is known to share a monotonic clock.
        return f"{time.time_ns():016x}"[-16:]


def _is_synchronized() -> bool:
    """Return whether NTP has set the clock; True where the kernel does not report it."""
    return _SYNCHRONIZED.exists() or not _status() & _STA_UNSYNC


def _status() -> int:
    adjtimex = getattr(ctypes.CDLL(None), "adjtimex", None)
    timex = ctypes.create_string_buffer(_TIMEX_BYTES)
    if adjtimex is None or adjtimex(timex) < 0:
        return 0
    return ctypes.c_int.from_buffer(timex, _STATUS_OFFSET).value
