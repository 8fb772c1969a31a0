"""Doing each kind of fault to a running system."""

import contextlib
import errno
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from bus.clock import now_ms
from tests.chaos import damage, rows
from tests.chaos.faults import HUB, Fault
from tests.chaos.proxy import Way
from tests.chaos.system import System
from tests.chaos.truth import Hit, Row

_WAYS = (Way.UP, Way.DOWN, Way.BOTH)
# In the note of a file in which SQLite finds a mistake.
UNSOUND = "unsound"
_BALLAST = "ballast"
_BALLAST_PIECE = 1 << 20


class Damages:
    """What to know for the count: which processes were hit when, what was in spoiled files."""

    def __init__(self) -> None:
        self.hits: list[Hit] = []
        # In an outbox: these need not arrive. In the history: these had.
        self.outbox_rows: list[Row] = []
        self.history_rows: list[Row] = []


@contextlib.contextmanager
def fault(system: System, wanted: Fault, damages: Damages) -> Iterator[str]:
    """Let `wanted` be so within; yield what there is to say about it."""
    with _KINDS[wanted.kind](system, wanted, damages) as note:
        yield note


@contextlib.contextmanager
def _killed(system: System, wanted: Fault, damages: Damages) -> Iterator[str]:
    damages.hits.append(system.units[wanted.target].kill())
    yield ""


@contextlib.contextmanager
def _asked_to_stop(system: System, wanted: Fault, _: Damages) -> Iterator[str]:
    # It stops in good order, so nothing that was measured may be lost.
    unit = system.units[wanted.target]
    unit.restart()
    code = unit.exit_codes[-1]
    yield "" if code == 0 else f"exit code {code}"


@contextlib.contextmanager
def _frozen(system: System, wanted: Fault, damages: Damages) -> Iterator[str]:
    from_ms = now_ms()
    with system.units[wanted.target].frozen():
        yield ""
    # A plugin that finds that its sensor took seconds does not believe it.
    damages.hits.append(Hit(wanted.target, from_ms, now_ms()))


@contextlib.contextmanager
def _cut(system: System, wanted: Fault, _: Damages) -> Iterator[str]:
    with _healed(system, wanted):
        system.proxies[wanted.target].cut()
        yield ""


@contextlib.contextmanager
def _stalled(system: System, wanted: Fault, _: Damages) -> Iterator[str]:
    way = random.Random(wanted.seed).choice(_WAYS)
    with _healed(system, wanted):
        system.proxies[wanted.target].stall(way)
        yield way.name or ""


@contextlib.contextmanager
def _stalled_then_cut(system: System, wanted: Fault, _: Damages) -> Iterator[str]:
    way = random.Random(wanted.seed).choice(_WAYS)
    with _healed(system, wanted):
        system.proxies[wanted.target].stall(way)
        yield way.name or ""
        system.proxies[wanted.target].cut()


@contextlib.contextmanager
def _slow(system: System, wanted: Fault, _: Damages) -> Iterator[str]:
    with _healed(system, wanted):
        system.proxies[wanted.target].slow()
        yield ""


@contextlib.contextmanager
def _healed(system: System, wanted: Fault) -> Iterator[None]:
    try:
        yield
    finally:
        system.proxies[wanted.target].heal()


@contextlib.contextmanager
def _disk_full(system: System, wanted: Fault, _: Damages) -> Iterator[str]:
    state = system.folder / wanted.target / "state"
    if not state.is_mount():
        with system.units[wanted.target].without_disk():
            yield "RLIMIT_FSIZE"
        return
    ballast = state / _BALLAST
    try:
        _fill(ballast)
        yield f"{shutil.disk_usage(state).free} bytes free"
    finally:
        ballast.unlink(missing_ok=True)


def _fill(ballast: Path) -> None:
    """Write until nothing more goes in, not even a byte."""
    size = _BALLAST_PIECE
    with ballast.open("wb", buffering=0) as file:
        while size:
            try:
                if file.write(bytes(size)) < size:
                    size //= 2
            except OSError as e:
                if e.errno != errno.ENOSPC:
                    raise
                size //= 2


@contextlib.contextmanager
def _history_corrupted(system: System, wanted: Fault, damages: Damages) -> Iterator[str]:
    with system.units[HUB].held_down() as hit:
        damages.hits.append(hit)
        damages.history_rows.extend(system.stored())
        note = _spoil(system.history, wanted)
    yield note


@contextlib.contextmanager
def _outbox_corrupted(system: System, wanted: Fault, damages: Damages) -> Iterator[str]:
    node = wanted.target
    with system.units[node].held_down() as hit:
        damages.hits.append(hit)
        found = [path for path in system.outboxes(node) if path.exists()]
        path = random.Random(wanted.seed).choice(found)
        damages.outbox_rows.extend(rows.of_outbox(node, path))
        note = f"{path.parent.name}: {_spoil(path, wanted)}"
    yield note


def _spoil(path: Path, wanted: Fault) -> str:
    way = damage.spoil(path, random.Random(wanted.seed))
    return way if damage.is_sound(path) else f"{way}, {UNSOUND}"


_KINDS: dict[str, Callable[[System, Fault, Damages], contextlib.AbstractContextManager[str]]] = {
    "kill -9": _killed,
    "SIGSTOP": _frozen,
    "SIGTERM": _asked_to_stop,
    "link cut": _cut,
    "link stalled": _stalled,
    "stalled, then cut": _stalled_then_cut,
    "link slow": _slow,
    "disk full": _disk_full,
    "history corrupted": _history_corrupted,
    "outbox corrupted": _outbox_corrupted,
}
