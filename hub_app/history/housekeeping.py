"""Housekeeping of the history between two commits: downsampling first, then expiry."""

import sqlite3
import time

from bus.config.history_table import HistoryConfig
from hub_app.history.downsample import Downsampler
from hub_app.history.expiry import Expiry

_INTERVAL_S = 5.0
# The longest that housekeeping holds up a commit.
_SLICE_S = 0.2
_MS_PER_DAY = 86_400_000


class Housekeeping:
    """Downsamples and deletes in `db`, in short transactions. Called by the writer's thread."""

    def __init__(self, db: sqlite3.Connection, settings: HistoryConfig) -> None:
        self._downsampler = Downsampler(db)
        self._expiry = Expiry(db, settings)
        self._due_s = 0.0

    def run(self, now_ms: int, newest_ms: int) -> None:
        """Work for at most a fifth of a second, if it is time to; see `step`."""
        began_s = time.monotonic()
        if began_s < self._due_s:
            return
        has_more = True
        while has_more and time.monotonic() < began_s + _SLICE_S:
            has_more = self.step(now_ms, newest_ms)
        self.delete_old_means(min(now_ms, newest_ms))
        self._due_s = 0.0 if has_more else began_s + _INTERVAL_S

    def step(self, now_ms: int, newest_ms: int) -> bool:
        """Do one short transaction; return whether there may be more to do.

        `newest_ms` is the time of a recent reading. A hub whose clock is far ahead of its nodes'
        deletes nothing because of that.
        """
        if self._downsampler.step(now_ms):
            return True
        return self._expiry.delete_old_readings(min(now_ms, newest_ms + _MS_PER_DAY))

    def delete_old_means(self, now_ms: int) -> None:
        """Delete the expired means of one field, and expired events."""
        self._expiry.delete_old_means(now_ms)
