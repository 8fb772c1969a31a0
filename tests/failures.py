"""Report of a failed test: the processes that it uses, and the messages that it heard."""

import signal
import weakref
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

from bus.contract.topics import Topic

# Of the log of a process that has ended, and of one that runs.
_LINES, _LINES_OF_RUNNING = 25, 5
_CHARS = 300
_MESSAGES = 5


class Process(Protocol):
    """The part of a process that tells how it is."""

    pid: int

    def poll(self) -> int | None: ...


class _Running:
    """A process of a test, with its name and log."""

    def __init__(self, name: str, process: Process, log: Path) -> None:
        self._name = name
        self._process = process
        self._log = log

    def __str__(self) -> str:
        code = self._process.poll()
        state = "runs" if code is None else _end(code)
        head = f"{self._name}, process {self._process.pid}, {state}; the end of {self._log}:"
        return "\n".join([head, *self._last(_LINES_OF_RUNNING if code is None else _LINES)])

    def _last(self, count: int) -> Iterator[str]:
        try:
            lines = self._log.read_text(errors="replace").splitlines()
        except OSError as e:
            lines = [str(e.strerror)]
        return (f"  {shortened(line)}" for line in lines[-count:])


# By the object that runs the process, so that those of ended tests disappear.
_running: "weakref.WeakKeyDictionary[object, _Running]" = weakref.WeakKeyDictionary()
# Of processes that were ended because of the failure.
_ended: list[str] = []


def watch(owner: object, name: str, process: Process, log: Path) -> None:
    """Tell of a process when a test fails, until `forget` or the end of `owner`."""
    _running[owner] = _Running(name, process, log)


def forget(owner: object, *, has_failed: bool = False) -> None:
    """Tell of a process no more; where it is ended by a failure, as it is at this moment."""
    found = _running.pop(owner, None)
    if found is not None and has_failed:
        _ended.append(str(found))


def begin() -> None:
    """Forget what an earlier test has ended."""
    _ended.clear()


def report() -> Iterator[str]:
    """Yield the state and the end of the log of every process, those that ended first."""
    yield from _ended
    yield from sorted((str(found) for found in _running.values()), key=_has_ended, reverse=True)


def _has_ended(text: str) -> bool:
    return " ended " in text.partition("; the end of")[0]


def _end(code: int) -> str:
    return f"has ended by {signal.Signals(-code).name}" if code < 0 else f"has ended with {code}"


def summary(heard: Sequence[tuple[Topic, bytes]], node: str = "") -> str:
    """Return how many messages each node sent of each kind, and the last ones, or `node`'s last."""
    counts: dict[str, Counter[str]] = {}
    for topic, _ in heard:
        counts.setdefault(topic.node, Counter())[str(topic.kind)] += 1
    lines = [
        f"  {name}: " + ", ".join(f"{count} {kind}" for kind, count in found.most_common())
        for name, found in sorted(counts.items())
    ]
    last = [
        "  " + shortened(f"{topic} {payload.decode(errors='replace')}")
        for topic, payload in heard
        if node in ("", topic.node)
    ]
    lines += [f"the last messages of {node or 'all'}:", *(last[-_MESSAGES:] or ["  none"])]
    return "\n".join([f"{len(heard)} messages were heard:", *lines])


def shortened(line: str) -> str:
    return line if len(line) <= _CHARS else f"{line[:_CHARS]} ... ({len(line)} characters)"
