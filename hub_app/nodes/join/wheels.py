"""Wheels that the hub serves to new machines: its own, and those of the libraries that they need.

They come from a folder where a person may put wheels, and from what is installed here: a machine
like the hub then needs no package index.
"""

import hashlib
import logging
import re
import shutil
import threading
from collections.abc import Iterable
from importlib import metadata
from importlib.metadata import Distribution
from pathlib import Path

from bus.errors import HarvesterError, UnavailableError
from bus.install import assets, requirement
from bus.install.version import commit
from hub_app.nodes.join import wheel_file

logger = logging.getLogger(__name__)

# In the hub's state directory: put there by people, and made here.
FOLDER, MADE_FOLDER = "wheels", "made-wheels"
PROGRAM = "harvester-edge"
# Extras that a new machine may ask for.
EXTRAS = frozenset({"agent", "pi"})
_PREFIX = "harvester_edge-"
_WHEEL = re.compile(r"[A-Za-z0-9_.+!]+(-[A-Za-z0-9_.+!]+){4,5}\.whl")
_MOST_WHEELS = 200


class Wheels:
    """The wheels below a hub's state directory. Its methods block: call them in a thread."""

    def __init__(self, state_dir: Path) -> None:
        self._folder = state_dir / FOLDER
        self._made = state_dir / MADE_FOLDER
        self._lock = threading.Lock()

    def check(self) -> None:
        """Raise UnavailableError where there is no wheel of HARVESTER, and none can be made."""
        if not assets.is_packaged():
            self._newest_own()

    def own(self) -> str:
        """Return the name of the wheel of the version that runs here; it is made where missing.

        In a clone, which has none, it is the newest that somebody put into the folder. Raises
        UnavailableError where there is none.
        """
        if not assets.is_packaged():
            return self._newest_own()
        return self._ready(metadata.distribution(PROGRAM)).name

    def _newest_own(self) -> str:
        found = sorted(self._folder.glob(f"{_PREFIX}*.whl"), key=lambda path: path.stat().st_mtime)
        if not found:
            raise UnavailableError(
                f"found a clone and no wheel to give to a new machine; `make wheel` makes it, put "
                f"it into {self._folder}"
            )
        return found[-1].name

    def names(self, machine: str, extras: Iterable[str]) -> list[str]:
        """Return the names of the wheels for a machine, by its architecture, our own first.

        pip chooses among them, and takes from an index what is not there.
        """
        own = self.own()
        rest = {path.name for path in self._folder.glob("*.whl")}
        if assets.is_packaged():
            rest |= {name for name in map(self._made_name, _libraries(extras)) if name}
        fitting = sorted(name for name in rest if fits(name, machine) and name != own)
        others = [name for name in fitting if not name.startswith(_PREFIX)]
        return [own, *others[:_MOST_WHEELS]]

    def path(self, name: str) -> Path | None:
        """Return the file of a wheel, None where there is none of that name."""
        if not _WHEEL.fullmatch(name):
            return None
        candidates = (self._folder / name, self._made / _identity() / name)
        return next((path for path in candidates if path.is_file()), None)

    def _made_name(self, distribution: Distribution) -> str:
        try:
            return self._ready(distribution).name
        except HarvesterError as e:
            # The machine takes it from an index.
            logger.warning("no wheel for new machines: %s", e)
            return ""

    def _ready(self, distribution: Distribution) -> Path:
        """Return the wheel of a distribution, made where it is missing."""
        with self._lock:
            folder = self._made / _identity()
            if not folder.is_dir():
                # Those of an earlier version.
                shutil.rmtree(self._made, ignore_errors=True)
                try:
                    folder.mkdir(parents=True, mode=0o700)
                except OSError as e:
                    raise UnavailableError(f"{folder}: {e.strerror}") from e
            path = folder / wheel_file.name_of(distribution)
            return path if path.is_file() else wheel_file.make(distribution, folder)


def fits(name: str, machine: str) -> bool:
    """Whether a wheel is for every machine, or for Linux on this architecture."""
    platforms = name.removesuffix(".whl").rpartition("-")[2].split(".")
    return any(
        platform == "any" or (platform.endswith(f"_{machine}") and "linux" in platform)
        for platform in platforms
    )


def _libraries(extras: Iterable[str]) -> list[Distribution]:
    """Return what is installed here of HARVESTER's requirements and theirs, with those extras."""
    found: dict[str, Distribution] = {}
    names = _required(metadata.distribution(PROGRAM), EXTRAS & set(extras))
    while names:
        name = names.pop()
        if name == PROGRAM or name in found:
            continue
        try:
            found[name] = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            continue
        names += _required(found[name], frozenset())
    return list(found.values())


def _required(distribution: Distribution, extras: frozenset[str]) -> list[str]:
    required = map(requirement.parse, distribution.requires or ())
    return [each.name for each in required if each and (not each.extra or each.extra in extras)]


def _identity() -> str:
    """Return a hash that changes when something else is installed."""
    words = sorted(f"{each.name}=={each.version}" for each in metadata.distributions())
    return hashlib.sha256("\n".join([commit(), *words]).encode()).hexdigest()[:12]
