"""From what a fault left behind to the one sentence that people read. Pure.

A guest's standard error ends with the toolchain's own report that Python raised; what stands
before that is the plugin's traceback.
"""

import itertools
import re
from collections.abc import Iterable

_PANIC = re.compile(r"thread '.*' .*panicked at ")
_WRONG_TYPE = re.compile(r"CastError \{ from: (.*), classinfo: (.*) \}")


def own_lines(lines: Iterable[str]) -> list[str]:
    """Return the plugin's own traceback."""
    return list(itertools.takewhile(lambda line: not _PANIC.match(line), lines))


def sentence(lines: Iterable[str], cause: str, memory_mb: int) -> str:
    """Return why a call failed: `lines` from standard error, `cause` in wasmtime's words."""
    written = list(lines)
    text = "\n".join(written)
    if "MemoryError" in text:
        return f"needed more memory than its limit of {memory_mb} MB"
    wrong_type = _WRONG_TYPE.search(text)
    if wrong_type:
        found, expected = wrong_type.groups()
        return f"returned a value of the wrong type: found {found[:80]}, expected {expected}"
    if cause.startswith("Exited with"):
        return "called sys.exit"
    own = own_lines(written)
    return own[-1] if own else cause
