"""Error message of a failed call, from the guest's standard error and wasmtime's cause. Pure.

A guest's standard error ends with the toolchain's own report that Python raised; what stands
before that is the plugin's traceback.
"""

import itertools
import re
from collections.abc import Iterable, Sequence

# Beginning of the toolchain's report: Python raised, or had no memory left to report it.
_REPORT = re.compile(r"thread '.*' .*panicked at |object address +: |note: run with `RUST_")
# What Python prints of an exception in place of its text, where memory does not suffice for that.
_DUMP = re.compile(r"object address +: .*")
_NO_MEMORY = re.compile(r"MemoryError|memory allocation of \d+ bytes failed")
# With what Python begins to say that it failed.
_TRACEBACK = re.compile(
    r"(?:  \+ Exception Group )?Traceback \(most recent call last\)|Fatal Python error"
)
_TRACEBACK_HEAD = "Traceback (most recent call last):"
# What a traceback of an exception group has at the beginning of its lines, and before its parts.
_GROUP_MARGIN = re.compile(r"  [|+] ")
_GROUP_PARTS = re.compile(r"  \+-\+-")
_WRONG_TYPE = re.compile(r"CastError \{ from: (.*), classinfo: (.*) \}")
# A frame of the plugin's own modules, which lie in the guest's folders /0, /1 and so on, as the
# builder's entry module does.
_FRAME = re.compile(r'\s*File "/\d+/(?!harvester_)(.+?)", line (\d+)')
# Causes in wasmtime's words, and in ours.
_CAUSES = {
    "Exited with": "called sys.exit",
    "too much data is being copied": "passed more data to the host in one call than may be copied",
    "wasm trap: call stack exhausted": "ran out of stack: calls or data are nested too deep",
}
# Of a guest that wrote nothing before it ended.
_SILENT_CAUSES = {
    "wasm trap: out of bounds memory access": "used memory outside of its own",
    "wasm trap: wasm `unreachable` instruction executed": "aborted without a traceback",
}
# What only an author can know how to mend, by how Python's sentence begins.
_ADVICE = {
    "ModuleNotFoundError": (
        "a plugin finds its own modules and the standard library, a component only what was "
        "imported while it was built"
    ),
    "LookupError: unknown encoding": "import its module from `encodings` at the top of a module",
    "zoneinfo._common.ZoneInfoNotFoundError": "a plugin has no time zones but UTC: `datetime.UTC`",
}
_LIMITS = (
    (re.compile(r"(memory|table|instance) count too high at (\d+)"), "{0} number {1}"),
    (re.compile(r"(memory|table) minimum size of (\d+ \w+) exceeds"), "a {0} of {1}"),
)


def begins_fault(line: str) -> bool:
    """Return whether a line on standard error begins a traceback or the toolchain's report."""
    return any(start.match(line) for start in (_TRACEBACK, _REPORT, _NO_MEMORY))


def own_lines(lines: Iterable[str]) -> list[str]:
    """Return the plugin's own traceback."""
    return list(itertools.takewhile(lambda line: not _REPORT.match(line), lines))


def sentence(lines: Iterable[str], cause: str, memory_mb: int) -> str:
    """Return the error of a call: `lines` are standard error, `cause` is wasmtime's message."""
    written = list(lines)
    text = "\n".join(written)
    if _NO_MEMORY.search(text):
        return f"needed more memory than its limit of {memory_mb} MB"
    wrong_type = _WRONG_TYPE.search(text)
    if wrong_type:
        found, expected = wrong_type.groups()
        return f"returned a value of the wrong type: found {found[:80]}, expected {expected}"
    for theirs, ours in _CAUSES.items():
        if cause.startswith(theirs):
            return f"{ours}{_place(written)}"
    own = own_lines(written)
    return _raised(own) if own else _SILENT_CAUSES.get(cause, cause)


def refused_start(cause: str, memory_mb: int) -> str:
    """Return why a component did not start: what it asked for, where that exceeds the limits."""
    for limit, asked in _LIMITS:
        found = limit.search(cause)
        if found:
            return (
                f"the plugin asks for {asked.format(*found.groups())}; expected one memory, few "
                f"tables and instances, together at most memory_mb = {memory_mb}"
            )
    return f"the plugin does not start: {cause}"


def _raised(traceback: Sequence[str]) -> str:
    """Return the exception of a traceback, with the file and line of the plugin's last frame."""
    lines = _without_margin(traceback)
    last = _last_frame(lines)
    after = lines if last is None else lines[last + 1 :]
    # Without a frame of the plugin, the exception stands right below the traceback's first line.
    after = [line for line in after if not line.endswith(_TRACEBACK_HEAD)]
    # What belongs to a frame is indented; the exception's own text may have several lines.
    said = next((line for line in after if not line.startswith(" ")), lines[-1])
    said = _DUMP.sub("its text is too large to print", said)
    advice = next((text for start, text in _ADVICE.items() if said.startswith(start)), "")
    return f"{said}{_place(lines)}{'; ' if advice else ''}{advice}"


def _place(lines: Sequence[str]) -> str:
    """Return the file and line of the plugin's last frame, in brackets; nothing without one."""
    last = _last_frame(lines)
    place = None if last is None else _FRAME.match(lines[last])
    return f" ({place[1]}:{place[2]})" if place else ""


def _last_frame(lines: Sequence[str]) -> int | None:
    return max((number for number, line in enumerate(lines) if _FRAME.match(line)), default=None)


def _without_margin(traceback: Sequence[str]) -> list[str]:
    """Return an exception group's traceback as if it were a plain one, without its parts."""
    whole = itertools.takewhile(lambda line: not _GROUP_PARTS.match(line), traceback)
    return [_GROUP_MARGIN.sub("", line, count=1) for line in whole]
