"""Control groups of a machine: systemd in a container needs one that it owns."""

import contextlib
from pathlib import Path

_MOUNT = Path("/sys/fs/cgroup")


def make(name: str) -> list[Path]:
    """Make the group `name` in each hierarchy that systemd uses, and return their folders."""
    # The hybrid layout has two hierarchies, the unified one is the mount point itself.
    hybrid = [_MOUNT / "systemd", _MOUNT / "unified"]
    bases = [base for base in hybrid if base.is_dir()] or [_MOUNT]
    folders = [base / name for base in bases]
    for folder in folders:
        folder.mkdir(parents=True, exist_ok=True)
    return folders


def leader(folders: list[Path]) -> int | None:
    """Return the process that is init in the machine, None where it is not up."""
    try:
        text = (folders[0] / "payload" / "init.scope" / "cgroup.procs").read_text()
    except OSError:
        return None
    return int(text.split()[0]) if text.split() else None


def remove(folders: list[Path]) -> None:
    """Remove the groups, inner ones first; those that are in use stay."""
    for folder in folders:
        inner = sorted((path for path in folder.rglob("*") if path.is_dir()), reverse=True)
        for path in (*inner, folder):
            with contextlib.suppress(OSError):
                path.rmdir()
