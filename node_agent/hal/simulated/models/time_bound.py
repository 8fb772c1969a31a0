"""Time bound of an author's `simulated.py`: a loop without end becomes an error with its line.

The file runs in this process, outside any sandbox. Its Python is interrupted, and not what it calls
of C, such as `time.sleep`.
"""

import contextlib
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

from bus.errors import BadDataError

# Of the thread's CPU time: a chip answers in microseconds, but the file may import a large library.
LONGEST_S = 5.0


class TooLongError(BadDataError):
    """The file's code ran for too long; the traceback has the line."""


@contextlib.contextmanager
def bounded(file: Path) -> Iterator[None]:
    """Raise TooLongError in code of `file` that runs in this thread for too long.

    Under a debugger, and where coverage is measured, nothing is bounded.
    """
    if sys.gettrace() is not None:
        yield
        return
    name, until_s = str(file), time.thread_time() + LONGEST_S

    def trace(frame: FrameType, _event: str, _argument: Any) -> Any:
        if frame.f_code.co_filename != name:
            return None
        # A loop of one line is no event of lines.
        frame.f_trace_opcodes = True
        if time.thread_time() > until_s:
            raise TooLongError(f"ran for over {LONGEST_S:g} s without an end")
        return trace

    sys.settrace(trace)
    try:
        yield
    finally:
        sys.settrace(None)
