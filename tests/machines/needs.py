"""What the laboratory needs of this computer."""

import os
import shutil
from pathlib import Path

from tests.machines.errors import LaboratoryError

# Program and Debian package.
_PROGRAMS = {
    "systemd-nspawn": "systemd-container",
    "debootstrap": "debootstrap",
    "ip": "iproute2",
    "nsenter": "util-linux",
}
# A clock that is wrong, for the services of one machine.
FAKETIME = Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1")


def check() -> None:
    """Raise LaboratoryError where this computer cannot run machines."""
    if os.geteuid() != 0:
        raise LaboratoryError("the laboratory makes namespaces and containers; run it as root")
    missing = {name: package for name, package in _PROGRAMS.items() if not shutil.which(name)}
    if not FAKETIME.exists():
        missing[FAKETIME.name] = "libfaketime"
    if missing:
        raise LaboratoryError(
            f"found no {', '.join(missing)}; run: apt-get install {' '.join(missing.values())}"
        )
