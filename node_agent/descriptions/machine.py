"""Machine facts: model, operating system, architecture and the address on the LAN.

A fact that the machine does not tell is empty.
"""

import contextlib
import ipaddress
import platform
import re
from pathlib import Path

from bus.client.own_addresses import own_addresses

ROOT = Path("/")
# The bound of a word on the bus.
_MAX_CHARS = 80
_NO_WORD = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


def model(root: Path = ROOT) -> str:
    """Return the model, from the device tree of an ARM board or from a PC's firmware."""
    if board := _word(root / "proc/device-tree/model"):
        return board
    dmi = root / "sys/class/dmi/id"
    return _fit(" ".join(filter(None, (_word(dmi / n) for n in ("sys_vendor", "product_name")))))


def operating_system() -> str:
    """Return the system's own name, for example `Debian GNU/Linux 12 (bookworm)`."""
    try:
        return _fit(platform.freedesktop_os_release().get("PRETTY_NAME", ""))
    except (OSError, UnicodeDecodeError):
        return _fit(platform.system())


def architecture() -> str:
    return _fit(platform.machine())


def lan_address(connected_from: str) -> str:
    """Return the address at which others reach this machine.

    `connected_from` is the local address of the connection to the broker; where that is this
    machine's loopback, as a hub's own is, the machine's first address takes its place.
    """
    with contextlib.suppress(ValueError):
        if not ipaddress.ip_address(connected_from.partition("%")[0]).is_loopback:
            return _fit(connected_from)
    return next(iter(own_addresses()), "")


def _word(path: Path) -> str:
    try:
        return _fit(path.read_text(errors="replace"))
    except OSError:
        return ""


def _fit(text: str) -> str:
    return _NO_WORD.sub("", text).strip()[:_MAX_CHARS]
