"""Doctor with the rights of the service: root starts it again as a transient unit."""

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from bus.config import config_file
from harvester.doctor.needs import Role

# User and folders of deploy/harvester-agent@.service and harvester-pizero.service.
_UNITS = {
    "hub": ("harvester-agent@hub.service", "harvester-agent"),
    "spoke": ("harvester-agent@spoke.service", "harvester-agent"),
    "pizero": ("harvester-pizero.service", "harvester-pizero"),
}
_GROUPS = "gpio i2c spi dialout"
# Pings; of the Pi Zero's unit alone.
_CAPABILITIES = {"pizero": ("AmbientCapabilities=CAP_NET_RAW",)}
_TIMEOUT_S = 30


def is_wanted(config: Path | None) -> bool:
    """Whether root examines an installed machine, where root's own rights tell nothing."""
    is_installed = config is not None and config.parent == config_file.INSTALLED
    return is_installed and os.geteuid() == 0 and shutil.which("systemd-run") is not None


def user_of(role: Role) -> str:
    """Return the user that the role's unit runs as; root where there is no such unit."""
    unit, _ = _UNITS[role]
    words = ("systemctl", "show", "--property=User", "--value", unit)
    done = subprocess.run(  # noqa: S603 - fixed words, no shell
        words, capture_output=True, text=True, check=False, timeout=_TIMEOUT_S
    )
    return done.stdout.strip() or "root"


def command(program: Path, role: Role, config: Path, user: str, more: Sequence[str]) -> list[str]:
    """Return the command that runs the doctor as `user`, with the service's rights and cache."""
    _, cache = _UNITS[role]
    properties = (
        f"User={user}",
        f"SupplementaryGroups={_GROUPS}",
        f"CacheDirectory={cache}",
        "CacheDirectoryMode=0700",
        *_CAPABILITIES.get(role, ()),
    )
    given = [word for each in properties for word in ("--property", each)]
    doctor = [str(program), "doctor", "--role", role, "--config", str(config), *more]
    return ["systemd-run", "--quiet", "--pipe", "--wait", "--collect", *given, *doctor]
