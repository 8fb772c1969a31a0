"""Events, alarms and means of heartbeats that wait for the next commit. Pure.

Of these there is no second message, so they are forgotten only once they are stored. One at which
the writer fails, for a reason that is not the file's, is found by storing fewer and fewer at once;
all others are kept.
"""

import logging
from collections.abc import Iterable
from typing import Any

import msgspec

from hub_app.alarms.records import Record
from hub_app.history.events import Event
from hub_app.history.retention.heartbeats import HeartbeatMeans

logger = logging.getLogger(__name__)

# Of each kind, the newest are kept while the file cannot be used: a few of each node. All nodes may
# have some at once, as when a network is cut off or five minutes are over.
_LEAST = 2000
_OF_NODE = 4
# After a failure, so many times fewer are stored at once.
_FEWER = 8


class Part(msgspec.Struct, frozen=True):
    """What is stored in one commit."""

    events: list[Event] = []
    alarms: list[Record] = []
    heartbeats: list[HeartbeatMeans] = []

    def __len__(self) -> int:
        return len(self.events) + len(self.alarms) + len(self.heartbeats)


class Pending:
    """What waits for a hub of `nodes` nodes, and how many of these are stored at once."""

    def __init__(self, nodes: int) -> None:
        self._most = max(_LEAST, _OF_NODE * nodes)
        self._waiting = Part()
        # 0: all of them.
        self._at_once = 0

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def is_suspect(self) -> bool:
        """Whether the writer may have failed at one of these: they are stored on their own."""
        return bool(self._at_once and self._waiting)

    def add(
        self,
        events: Iterable[Event] = (),
        alarms: Iterable[Record] = (),
        heartbeats: Iterable[HeartbeatMeans] = (),
    ) -> None:
        waiting = self._waiting
        waiting.events.extend(events)
        waiting.alarms.extend(alarms)
        waiting.heartbeats.extend(heartbeats)
        for found in _lists(waiting):
            del found[: -self._most]

    def part(self) -> Part:
        """Return what to store next: all of it, or some of one kind where that is suspect."""
        waiting = self._waiting
        if not self.is_suspect:
            return Part(*map(list, _lists(waiting)))
        some = slice(self._at_once)
        if waiting.events:
            return Part(events=waiting.events[some])
        if waiting.alarms:
            return Part(alarms=waiting.alarms[some])
        return Part(heartbeats=waiting.heartbeats[some])

    def on_stored(self, part: Part) -> None:
        """Forget a part that is stored."""
        self._forget(part)
        self._at_once *= 2

    def on_failed(self, part: Part) -> None:
        """Note that the writer failed at a part; forget one thing at which it failed alone."""
        if self.is_suspect and len(part) == 1:
            logger.error("not stored, as the history fails at it: %.300r", part)
            self._forget(part)
            self._at_once *= _FEWER
        else:
            self._at_once = max(1, len(part) // _FEWER)

    def _forget(self, part: Part) -> None:
        for waiting, done in zip(_lists(self._waiting), _lists(part), strict=True):
            del waiting[: len(done)]
        if not self._waiting:
            self._at_once = 0


def _lists(part: Part) -> tuple[list[Any], ...]:
    return part.events, part.alarms, part.heartbeats
