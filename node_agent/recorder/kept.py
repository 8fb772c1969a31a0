"""Kept records of a node's plugins: the newest of each, until the hub has it."""

import logging
import threading
import time
from collections.abc import Callable

from bus.contract.bounds import MAX_ERROR_CHARS
from bus.contract.messages import PluginRecord, RecordReason
from node_agent.recorder import record_file
from node_agent.recorder.record_file import Record

logger = logging.getLogger(__name__)

# Shortest time between two records of one version: a flapping sensor would send one a cycle.
_GAPS_S: dict[RecordReason, float] = {"fault": 60.0, "problem": 600.0, "command": 0.0}
# After a connection, newer ones are sent again: the hub may have lost them.
_AGAIN_S = 3600.0

Publish = Callable[[str, PluginRecord], bool]


class KeptRecords:
    """The newest record of each plugin. Any thread may call `keep`."""

    def __init__(self, publish: Publish, monotonic_s: Callable[[], float] = time.monotonic) -> None:
        """`publish` takes a plugin's name and its record, and returns whether it was sent."""
        self._publish = publish
        self._monotonic_s = monotonic_s
        self._order = threading.Lock()
        self._kept: dict[str, tuple[float, PluginRecord]] = {}
        # By plugin and reason: the version's digest, and when.
        self._last: dict[tuple[str, RecordReason], tuple[str, float]] = {}
        self._waiting: set[str] = set()
        # Records that are still to be made, by a thread that ends with them.
        self._to_make: dict[str, Callable[[], Record]] = {}
        self._maker: threading.Thread | None = None

    def is_due(self, plugin: str, sha256: str, reason: RecordReason) -> bool:
        """Return whether a record is kept now; if so, no other of this reason for a while.

        One of another version is due at once.
        """
        now_s = self._monotonic_s()
        with self._order:
            last_sha256, last_s = self._last.get((plugin, reason), ("", 0.0))
            if sha256 == last_sha256 and now_s - last_s < _GAPS_S[reason]:
                return False
            self._last[plugin, reason] = (sha256, now_s)
            return True

    def keep_later(self, plugin: str, make: Callable[[], Record]) -> None:
        """Make and keep a record in another thread: to compress it takes longer than a poll may."""
        with self._order:
            self._to_make[plugin] = make
            if self._maker is None:
                self._maker = threading.Thread(target=self._make, name="records", daemon=True)
                self._maker.start()

    def wait(self) -> None:
        """Wait for the records that are being made."""
        with self._order:
            maker = self._maker
        if maker is not None:
            maker.join()

    def keep(self, record: Record) -> None:
        """Keep a record in place of the plugin's last one."""
        fitting, content = record_file.encode(record)
        name = record.plugin.name
        if not content:
            logger.warning("plugin %s: its newest poll is too large for a record", name)
            return
        message = PluginRecord(
            reason=record.reason,
            sha256=record.plugin.sha256,
            made_ms=record.made_ms,
            polls=sum(step.number > 0 for step in fitting.steps.kept),
            missing=fitting.steps.missing,
            content=content,
            fault=record.fault[:MAX_ERROR_CHARS],
        )
        with self._order:
            self._kept[name] = (self._monotonic_s(), message)
            self._waiting.add(name)

    def connected(self) -> None:
        """Send those of the last hour again."""
        now_s = self._monotonic_s()
        with self._order:
            fresh = {name for name, (at_s, _) in self._kept.items() if now_s - at_s < _AGAIN_S}
            self._waiting |= fresh

    def again(self, plugin: str) -> None:
        """Send a plugin's record again, where there is one."""
        with self._order:
            self._waiting |= {plugin} & self._kept.keys()

    def send_waiting(self) -> None:
        """Publish what waits. One thread at a time."""
        with self._order:
            waiting = [(name, self._kept[name][1]) for name in sorted(self._waiting)]
        for name, message in waiting:
            if not self._publish(name, message):
                return
            with self._order:
                # Another one may have been kept meanwhile.
                if self._kept[name][1] is message:
                    self._waiting.discard(name)

    def _make(self) -> None:
        while (taken := self._next()) is not None:
            plugin, make = taken
            try:
                self.keep(make())
            except Exception:
                logger.exception("plugin %s: its record was not made: the host failed", plugin)

    def _next(self) -> tuple[str, Callable[[], Record]] | None:
        with self._order:
            if self._to_make:
                return self._to_make.popitem()
            self._maker = None
            return None
