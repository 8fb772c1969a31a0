"""Reason for which a node did not keep a version, as people are told it. Pure."""

import re

# The head of a traceback and its frames; the beginning may be cut off.
_FRAME = re.compile(r'Traceback\b|\s+File "')


def sentences(reason: str) -> str:
    """Return a refusal whole; of a traceback, the error at its end with all its lines."""
    lines = reason.rstrip().splitlines()
    frames = [place for place, line in enumerate(lines) if _FRAME.match(line)]
    if frames:
        after = lines[frames[-1] + 1 :]
        # The line of source, and the marks below it.
        while after and after[0][:1].isspace():
            after.pop(0)
        lines = after or lines[-1:]
    return "\n".join(lines) or "it was not kept"
