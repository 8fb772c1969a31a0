"""Times in which a node was on, off or silent, from its presence and the streams of its readings.

A node that falls silent may be off, or only its link or the hub is down. The run of its program
(`boot_id`) that is heard next tells: the same run was on meanwhile, another one was started at its
`since_ms`. Where no presence is known, the streams of the readings tell the same: each run of a
program has its own. Pure.
"""

from collections.abc import Iterator
from typing import Literal

import msgspec

# `silent`: not heard of since; its readings may still come.
NodeState = Literal["on", "off", "silent"]

BEGINNING_MS = -(2**62)
END_MS = 2**62

# From, to.
Times = tuple[int, int]


class PresenceChange(msgspec.Struct, frozen=True):
    """A node came (`online`), went or fell silent; `boot_id` is the run of its program.

    `since_ms` is the start of that run, by the node's clock.
    """

    at_ms: int
    is_online: bool
    boot_id: str = ""
    since_ms: int = 0


class NodeTime(msgspec.Struct, frozen=True):
    """A time in which a node was in one state; `is_start`: a run of its program began with it."""

    from_ms: int
    to_ms: int
    state: NodeState
    is_start: bool = False


def node_times(
    changes: list[PresenceChange], hub_stops_ms: list[int], streams: list[Times]
) -> list[NodeTime]:
    """Return the states of a node from the beginning to the end of time, in order.

    `streams` are the times of the first and last known reading of each stream, `hub_stops_ms` the
    times from which the hub heard nothing.
    """
    return list(_LifeOfNode(sorted(streams)).follow(changes, sorted(hub_stops_ms)))


class _LifeOfNode:
    def __init__(self, streams: list[Times]) -> None:
        self._streams = streams
        self._boot_id = ""
        self._is_on = False
        # Begin of the present state.
        self._at_ms = BEGINNING_MS

    def follow(self, changes: list[PresenceChange], hub_stops_ms: list[int]) -> Iterator[NodeTime]:
        stops = [PresenceChange(at_ms, is_online=False) for at_ms in hub_stops_ms]
        for change in sorted([*changes, *stops], key=lambda change: change.at_ms):
            if change.is_online:
                yield from self._on_online(change)
            else:
                yield from self._on_silence(change)
        if self._is_on:
            yield NodeTime(self._at_ms, END_MS, "on")
        else:
            yield from self._by_streams(self._at_ms, END_MS, "silent")

    def _on_silence(self, change: PresenceChange) -> Iterator[NodeTime]:
        self._boot_id = change.boot_id or self._boot_id
        if self._is_on:
            yield NodeTime(self._at_ms, change.at_ms, "on")
            self._is_on = False
            self._at_ms = change.at_ms
        elif self._at_ms == BEGINNING_MS:
            yield from self._by_streams(self._at_ms, change.at_ms, "off")
            self._at_ms = change.at_ms

    def _on_online(self, change: PresenceChange) -> Iterator[NodeTime]:
        is_same_run = bool(change.boot_id) and change.boot_id == self._boot_id
        self._boot_id = change.boot_id
        if is_same_run:
            if not self._is_on:
                yield NodeTime(self._at_ms, change.at_ms, "on")
                self._at_ms, self._is_on = change.at_ms, True
            return
        # A program cannot have started before the last one was heard, nor after it was heard.
        is_plausible = self._at_ms <= change.since_ms <= change.at_ms
        began_ms = change.since_ms if is_plausible else change.at_ms
        if self._is_on:
            # The end of the last run was not heard.
            seen_ms = self._last_seen_ms(began_ms)
            yield NodeTime(self._at_ms, seen_ms, "on")
            self._at_ms = seen_ms
        yield from self._by_streams(self._at_ms, began_ms, "off")
        yield NodeTime(began_ms, change.at_ms, "on", is_start=True)
        self._at_ms, self._is_on = change.at_ms, True

    def _last_seen_ms(self, until_ms: int) -> int:
        """Return the last proof of life before `until_ms`: a reading, or the last change."""
        ends = (min(to_ms, until_ms) for from_ms, to_ms in self._streams if from_ms < until_ms)
        return max(self._at_ms, *ends, self._at_ms)

    def _by_streams(self, from_ms: int, to_ms: int, last: NodeState) -> Iterator[NodeTime]:
        """Yield states where no presence is known: on during a stream, off between two."""
        at_ms = from_ms
        for first_ms, last_ms in self._streams:
            if last_ms < at_ms or first_ms >= to_ms:
                continue
            start_ms, end_ms = max(first_ms, at_ms), min(last_ms, to_ms)
            if start_ms > at_ms:
                yield NodeTime(at_ms, start_ms, "off")
            yield NodeTime(start_ms, end_ms, "on")
            at_ms = end_ms
        if to_ms > at_ms:
            yield NodeTime(at_ms, to_ms, last)
