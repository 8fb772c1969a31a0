"""New environment of an update: the libraries in use, and the other version by pip."""

import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec

from bus.errors import UnavailableError
from harvester.install import distributions
from harvester.install.environment import (
    ENVIRONMENTS,
    IDENTITY_FILE,
    base_python,
    read_identity,
)
from harvester.install.system import System
from harvester.update.environments import Environments

# An environment is made beside the old one, and pip unpacks wheels besides.
_ROOM_FACTOR = 2.0
_PIP_LINES = 6


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """`requirement` is a wheel's path or the project's name, with its extras.

    `links` are folders of wheels; `index` has the options of pip for an index, `--no-index` for
    none. `identity` names the environment. With `takes_all`, every library becomes the newest in
    these folders; otherwise only those that the other version needs to be newer.
    """

    requirement: str
    identity: str
    links: tuple[Path, ...] = ()
    index: tuple[str, ...] = ("--no-index",)
    takes_all: bool = False


def build(system: System, wanted: Wanted) -> Path:
    """Make the environment where it is missing, complete and on the disk, and return its folder.

    It is not used by anything yet. Those that interrupted updates have left are removed. Raises
    UnavailableError where pip cannot do it, or another update is being installed.
    """
    environments = Environments(system)
    target = environments.folder(wanted.identity)
    with environments.locked():
        if read_identity(target) != wanted.identity:
            environments.remove_incomplete()
            check_room(system)
            _make(system, target, wanted)
    return target


def _make(system: System, target: Path, wanted: Wanted) -> None:
    shutil.rmtree(target, ignore_errors=True)
    system.run((str(base_python()), "-m", "venv", str(target)))
    (site_packages,) = target.glob("lib/python3*/site-packages")
    libraries = [each for each in distributions.of_program() if not distributions.is_program(each)]
    # What the old version has need not be fetched again.
    distributions.copy(libraries, site_packages)
    _pip_install(system, target, wanted)
    system.run((str(target / "bin/python"), "-m", "compileall", "-qq", str(target / "lib")))
    # A power cut must not leave a complete-looking environment with empty files.
    os.sync()
    (target / IDENTITY_FILE).write_text(f"{wanted.identity}\n")
    os.sync()


def check_room(system: System) -> None:
    """Raise UnavailableError where the disk has no room for another environment."""
    folder = system.path(ENVIRONMENTS)
    size = sum(path.lstat().st_size for path in Path(sys.prefix).rglob("*"))
    free = shutil.disk_usage(folder).free
    if free < _ROOM_FACTOR * size:
        raise UnavailableError(
            f"{folder}: found {free / 1e6:.0f} MB free, expected {_ROOM_FACTOR * size / 1e6:.0f} MB"
        )


def _pip_install(system: System, target: Path, wanted: Wanted) -> None:
    links = [word for folder in wanted.links for word in ("--find-links", str(folder))]
    strategy = "eager" if wanted.takes_all else "only-if-needed"
    words: Sequence[str] = (
        *(str(target / "bin/python"), "-m", "pip", "install", "--quiet", "--no-input"),
        *("--disable-pip-version-check", "--no-cache-dir", "--upgrade"),
        *("--upgrade-strategy", strategy, *wanted.index, *links, wanted.requirement),
    )
    try:
        system.run(words)
    except UnavailableError as e:
        lines = [line for line in str(e).splitlines() if line.strip()]
        raise UnavailableError("pip: " + "; ".join(lines[-_PIP_LINES:])) from e
