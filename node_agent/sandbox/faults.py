"""Error message of a failed call, from the guest's standard error and wasmtime's cause. Pure.

A guest's standard error ends with the toolchain's own report that Python raised; what stands
before that is the plugin's traceback.
"""

import itertools
import re
from collections.abc import Iterable

# Beginning of the toolchain's report: Python raised, or had no memory left to report it.
_REPORT = re.compile(r"thread '.*' .*panicked at |object address +: |note: run with `RUST_")
_NO_MEMORY = re.compile(r"MemoryError|memory allocation of \d+ bytes failed")
_WRONG_TYPE = re.compile(r"CastError \{ from: (.*), classinfo: (.*) \}")
# Causes in wasmtime's words, and in ours.
_CAUSES = {
    "Exited with": "called sys.exit",
    "too much data is being copied": "passed more data to the host in one call than may be copied",
}


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
    return own[-1] if own else cause
