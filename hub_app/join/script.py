"""Script of a join: the shipped shell script with the values of one code."""

import re
from functools import cache
from pathlib import Path

from hub_app.join.codes import JoinCode
from hub_app.join.place import JoinPlace

_FILE = Path(__file__).with_name("join.sh")
# Nothing else may stand between the script's single quotes.
_SAFE = re.compile(r"[A-Za-z0-9 \n./:=+_\[\]-]*")


def fill(found: JoinCode, code: str, place: JoinPlace, asked: str, ca: str) -> str:
    """Return the script. `asked` is the name by which the machine found the hub."""
    values = {
        "HUB": place.url(asked),
        "PIN": place.pin,
        "CODE": code,
        "NODE": found.node,
        "REPLACE": "yes" if found.replace else "no",
        "CA": ca.strip(),
    }
    for name, value in values.items():
        if not _SAFE.fullmatch(value):
            raise ValueError(f"{name}: found characters that a script cannot quote")
    return re.sub(r"@([A-Z]+)@", lambda match: values[match.group(1)], _text())


@cache
def _text() -> str:
    return _FILE.read_text(encoding="utf-8")
