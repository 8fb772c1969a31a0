"""Cache of the laboratory: a Debian root and a wheelhouse, made once.

Everything in it can be deleted; it is made again, which takes three minutes and the network.
"""

import contextlib
import fcntl
import hashlib
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.machines import commands
from tests.machines.errors import LaboratoryError

ROOT = Path(__file__).parents[2]
_SUITE = "bookworm"
# As on a Raspberry Pi OS Lite, plus pipx.
_PACKAGES = (
    "ca-certificates,curl,dbus,iproute2,kmod,libpam-systemd,netbase,openssl,pipx,procps,"
    "python3-venv,sudo,systemd,systemd-sysv,systemd-timesyncd,udev"
)
_EXTRAS = "hub,pi"
_DEBOOTSTRAP_S = 1800
_WHEELS_S = 900


def directory() -> Path:
    """Return the folder of the cache: $HARVESTER_MACHINES, or one for all clones."""
    return Path(os.environ.get("HARVESTER_MACHINES", "/var/cache/harvester-machines"))


def debian_root() -> Path:
    """Return a Debian 12 that is never booted, made by debootstrap where it is missing."""
    name = hashlib.sha256(_PACKAGES.encode()).hexdigest()[:8]
    target = directory() / f"{_SUITE}-{name}"
    with _made_once(target) as partial:
        if partial is not None:
            commands.run(
                "debootstrap",
                "--variant=minbase",
                f"--include={_PACKAGES}",
                _SUITE,
                str(partial),
                timeout_s=_DEBOOTSTRAP_S,
            )
    return target


def wheelhouse() -> Path:
    """Return a folder with our newest wheel in dist/ and every wheel that its extras need."""
    ours = newest_wheel()
    needs = (ROOT / "pyproject.toml").read_bytes() + (ROOT / "constraints.txt").read_bytes()
    target = directory() / f"wheels-{hashlib.sha256(needs).hexdigest()[:8]}"
    with _made_once(target) as partial:
        if partial is not None:
            words = ("-m", "pip", "wheel", "--quiet", "--constraint", str(ROOT / "constraints.txt"))
            wanted = (f"{ours}[{_EXTRAS}]", "pip", "setuptools", "wheel")
            commands.run(
                sys.executable, *words, "--wheel-dir", str(partial), *wanted, timeout_s=_WHEELS_S
            )
            for copy in partial.glob("harvester_edge-*.whl"):
                copy.unlink()
    return target


def newest_wheel() -> Path:
    """Return the wheel that `make wheel` made last."""
    found = sorted((ROOT / "dist").glob("harvester_edge-*.whl"), key=lambda p: p.stat().st_mtime)
    if not found:
        raise LaboratoryError("found no wheel in dist/; run: make wheel")
    return found[-1]


@contextlib.contextmanager
def _made_once(target: Path) -> Iterator[Path | None]:
    """Yield a folder to fill, which then becomes `target`; None where that is there."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with (target.parent / f".{target.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if target.is_dir():
            yield None
            return
        partial = target.with_name(f"{target.name}.partial")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir()
        yield partial
        partial.rename(target)
