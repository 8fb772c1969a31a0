"""Error message of a failed call, from the guest's standard error and wasmtime's cause. Pure.

A guest's standard error ends with the toolchain's own report that Python raised; what stands
before that is the plugin's traceback.
"""

import itertools
import re
from collections.abc import Iterable, Sequence

# Beginning of the toolchain's report: Python raised, or had no memory left to report it.
_REPORT = re.compile(r"thread '.*' .*panicked at |object address +: |note: run with `RUST_")
_NO_MEMORY = re.compile(r"MemoryError|memory allocation of \d+ bytes failed")
# With what Python begins to say that it failed.
_TRACEBACK = re.compile(r"Traceback \(most recent call last\)|Fatal Python error")
_WRONG_TYPE = re.compile(r"CastError \{ from: (.*), classinfo: (.*) \}")
# A frame of the plugin's own modules, which lie in the guest's folders /0, /1 and so on, as the
# builder's entry module does.
_FRAME = re.compile(r'\s*File "/\d+/(?!harvester_)(.+?)", line (\d+)')
# Causes in wasmtime's words, and in ours.
_CAUSES = {
    "Exited with": "called sys.exit",
    "too much data is being copied": "passed more data to the host in one call than may be copied",
}
# What only an author can know how to mend, by how Python's sentence begins.
_ADVICE = {
    "ModuleNotFoundError": "import it at the top of a module, so that the build includes it",
    "LookupError: unknown encoding": "import its module from `encodings` at the top of a module",
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
            return ours
    own = own_lines(written)
    return _raised(own) if own else cause


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
    frames = [number for number, line in enumerate(traceback) if _FRAME.match(line)]
    after = traceback[frames[-1] + 1 :] if frames else traceback
    # What belongs to a frame is indented; the exception's own text may have several lines.
    said = next((line for line in after if not line.startswith(" ")), traceback[-1])
    advice = next((text for start, text in _ADVICE.items() if said.startswith(start)), "")
    place = _FRAME.match(traceback[frames[-1]]) if frames else None
    where = f" ({place[1]}:{place[2]})" if place else ""
    return f"{said}{where}{'; ' if advice else ''}{advice}"
