"""Vital signs of a service: figures in its status line that an update is judged by.

`systemctl status` shows them, and systemd keeps them: `stored=12 faults=0 loading=1 connected=1`.
An update reads those of another version, so names are never changed, and unknown ones are ignored.
"""

import re

import msgspec

_FIGURE = re.compile(r"\b([a-z]+)=(\d{1,15})\b")


class VitalSigns(msgspec.Struct, frozen=True):
    """`stored` readings are in the hub's history since the start; `loading` plugins are not up.

    `faults` are what does not work: plugins that failed, for example.
    """

    stored: int = 0
    faults: int = 0
    loading: int = 0
    connected: int = 0

    def __str__(self) -> str:
        return " ".join(f"{name}={value}" for name, value in msgspec.structs.asdict(self).items())


def parse(text: str) -> VitalSigns | None:
    """Return the vital signs in a status line; None where it has none."""
    found = {name: int(value) for name, value in _FIGURE.findall(text)}
    known = {name: found[name] for name in VitalSigns.__struct_fields__ if name in found}
    return VitalSigns(**known) if "stored" in known else None
