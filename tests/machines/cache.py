"""Cache of the laboratory: Debian roots and wheelhouses, each made once.

Everything in it can be deleted; it is made again, which takes some minutes and the network.
"""

import contextlib
import fcntl
import hashlib
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec

from tests.machines import commands
from tests.machines.errors import LaboratoryError

ROOT = Path(__file__).parents[2]
CONSTRAINTS = ROOT / "constraints.txt"
# As on a Raspberry Pi OS Lite, plus pipx.
_PACKAGES = (
    "ca-certificates,curl,dbus,iproute2,kmod,libpam-systemd,netbase,openssl,pipx,procps,"
    "python3-venv,sudo,systemd,systemd-sysv,systemd-timesyncd,udev"
)
# What compiles the libraries that are distributed as source; see deploy/INSTALL.md.
_COMPILER = "gcc,libc6-dev,python3-dev"
# Libraries of the extra `pi` without a wheel for any machine.
SOURCES = ("spidev", "rpi-ws281x")
_DEBOOTSTRAP_S = 3600
_WHEELS_S = 900


class Suite(msgspec.Struct, frozen=True, kw_only=True):
    """A release of Debian: its Python, and its architecture for pip and for Debian."""

    name: str
    python: str
    packages: str = _PACKAGES
    machine: str = "x86_64"
    architecture: str = "amd64"
    # The newest glibc for which a wheel may be made: PEP 600.
    platforms: tuple[str, ...] = ("manylinux_2_28", "manylinux_2_17", "manylinux2014")


# Debian 12 and 13, on which Raspberry Pi OS is based.
BOOKWORM = Suite(name="bookworm", python="3.11")
TRIXIE = Suite(name="trixie", python="3.13", packages=f"{_PACKAGES},{_COMPILER}")
ARM64 = Suite(
    name="bookworm",
    python="3.11",
    packages=f"ca-certificates,python3-venv,{_COMPILER}",
    machine="aarch64",
    architecture="arm64",
)


def directory() -> Path:
    """Return the folder of the cache: $HARVESTER_MACHINES, or one for all clones."""
    return Path(os.environ.get("HARVESTER_MACHINES", "/var/cache/harvester-machines"))


def debian_root(suite: Suite = BOOKWORM) -> Path:
    """Return a Debian that is never booted, made by debootstrap where it is missing."""
    is_foreign = suite.architecture != BOOKWORM.architecture
    words = ["debootstrap", "--variant=minbase", f"--include={suite.packages}"]
    words += ["--foreign", f"--arch={suite.architecture}"] if is_foreign else []
    prefix = f"{suite.name}-{suite.architecture}" if is_foreign else suite.name
    target = directory() / f"{prefix}-{hashlib.sha256(suite.packages.encode()).hexdigest()[:8]}"
    with _made_once(target) as partial:
        if partial is not None:
            commands.run(*words, suite.name, str(partial), timeout_s=_DEBOOTSTRAP_S)
            if is_foreign:
                second = ("/debootstrap/debootstrap", "--second-stage")
                commands.run("chroot", str(partial), *second, timeout_s=_DEBOOTSTRAP_S)
    return target


def wheelhouse(suite: Suite = BOOKWORM) -> Path:
    """Return a folder with every package that the extras `hub` and `pi` of our newest wheel need.

    For another Python or machine than this one's, those of the extra `fleet` are there, too, and
    libraries without a wheel as source.
    """
    ours = newest_wheel()
    needs = (ROOT / "pyproject.toml").read_bytes() + CONSTRAINTS.read_bytes()
    name = f"wheels-{hashlib.sha256(needs).hexdigest()[:8]}"
    if suite != BOOKWORM:
        name += f"-{suite.machine}-{suite.python}-fleet"
    target = directory() / name
    with _made_once(target) as partial:
        if partial is not None:
            (_build if suite == BOOKWORM else _download)(ours, partial, suite)
            for copy in partial.glob("harvester_edge-*.whl"):
                copy.unlink()
    return target


def newest_wheel() -> Path:
    """Return the wheel that `make wheel` made last."""
    found = sorted((ROOT / "dist").glob("harvester_edge-*.whl"), key=lambda p: p.stat().st_mtime)
    if not found:
        raise LaboratoryError("found no wheel in dist/; run: make wheel")
    return found[-1]


def _build(ours: Path, folder: Path, _suite: Suite) -> None:
    """Make wheels with this Python, which is Debian 12's."""
    wanted = (f"{ours}[hub,pi]", "pip", "setuptools", "wheel")
    _pip("wheel", "--wheel-dir", str(folder), *wanted)


def _download(ours: Path, folder: Path, suite: Suite) -> None:
    """Fetch wheels for another Python, and the source of what has none."""
    # pip evaluates markers for this machine: what a Pi needs beyond that is named.
    wanted = [
        f"{ours}[hub,fleet]",
        "gpiod",
        "pyserial",
        "adafruit-circuitpython-dht",
        "pip",
        "setuptools",
        "wheel",
    ]
    target = [f"--platform={name}_{suite.machine}" for name in suite.platforms]
    target += [f"--python-version={suite.python}", "--only-binary=:all:"]
    _pip("download", "--dest", str(folder), *target, *wanted)
    _pip("download", "--dest", str(folder), "--no-deps", "--no-binary=:all:", *SOURCES)


def _pip(*words: str) -> None:
    quiet = ("--quiet", "--disable-pip-version-check", "--constraint", str(CONSTRAINTS))
    command, *rest = words
    commands.run(sys.executable, "-m", "pip", command, *quiet, *rest, timeout_s=_WHEELS_S)


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
