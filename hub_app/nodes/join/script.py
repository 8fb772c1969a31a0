"""Script of a join: the shipped shell script with the values of one code."""

import re
from functools import cache
from pathlib import Path

from hub_app.nodes.join.codes import JoinCode
from hub_app.nodes.join.endpoint import JoinEndpoint

_FILE = Path(__file__).with_name("join.sh")
# Nothing else may stand between the script's single quotes.
_SAFE = re.compile(r"[A-Za-z0-9 \n./:=+_\[\]-]*")


def fill(found: JoinCode, code: str, reached: JoinEndpoint, asked: str, ca: str) -> str:
    """Return the script. `asked` is the name by which the machine found the hub."""
    values = {
        "HUB": reached.url(asked),
        "PIN": reached.pin,
        "CODE": code,
        "NODE": found.node,
        "REPLACE": _yes_or_no(found.replace),
        "USED": _yes_or_no(found.joined_ms > 0),
        "ASKS": _yes_or_no(found.attached is None),
        "CA": ca.strip(),
    }
    for name, value in values.items():
        if not _SAFE.fullmatch(value):
            raise ValueError(f"{name}: found characters that a script cannot quote")
    return re.sub(r"@([A-Z]+)@", lambda match: values[match.group(1)], _text())


def refusal(sentence: str) -> str:
    """Return a script that prints a sentence and fails."""
    # A single quote within single quotes (POSIX shell, 2.2.2).
    quoted = sentence.replace("'", "'\\''")
    return f"#!/bin/sh\nprintf 'harvester: %s\\n' '{quoted}' >&2\nexit 1\n"


def _yes_or_no(is_so: bool) -> str:  # noqa: FBT001 - the one thing that it takes
    return "yes" if is_so else "no"


@cache
def _text() -> str:
    return _FILE.read_text(encoding="utf-8")
