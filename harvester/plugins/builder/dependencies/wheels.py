"""Wheels of pure Python: found and fetched by pip, kept in a cache by their digest.

The cache is the user's, so that a plugin with a lock is packed without a network. It keeps what was
used in the last half year, 200 MB at most.
"""

import contextlib
import hashlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from bus.files import whole_file
from harvester.errors import BuildError, ToolMissingError
from harvester.plugins.builder.dependencies.lock_file import Package

# Of the runtime component and of components.
_GUEST_PYTHON = "3.14"
_PURE = ("--only-binary=:all:", "--platform=any", "--implementation=py", "--abi=none")
_TIMEOUT_S = 300
_PURE_TAG = "-none-any.whl"
_SHOWN_CHARS = 300
_KEPT_S = 183 * 24 * 3600.0
_MOST_BYTES = 200_000_000


def resolve(requirements: Sequence[str], what: Path) -> list[Package]:
    """Return the packages that meet `requirements`, by name; their wheels are in the cache.

    `what` is the plugin's manifest. Raises BuildError, ToolMissingError.
    """
    with tempfile.TemporaryDirectory() as directory:
        folder = Path(directory)
        _download(requirements, folder, what)
        return [_keep(file) for file in sorted(folder.iterdir())]


def wheel_of(package: Package, what: Path) -> Path:
    """Return the wheel of a locked package, fetched where the cache lacks it.

    Raises BuildError where what came has another digest.
    """
    kept = _cached(package)
    if kept.is_file() and _digest(kept) == package.sha256:
        with contextlib.suppress(OSError):
            # It is in use.
            os.utime(kept)
        return kept
    with tempfile.TemporaryDirectory() as directory:
        folder = Path(directory)
        _download([f"{package.name}=={package.version}"], folder, what, "--no-deps")
        for file in folder.iterdir():
            if _digest(file) == package.sha256:
                _keep(file)
                return kept
    raise BuildError(
        f"{what.parent}: {package.name} {package.version}: found another wheel than the locked "
        f"{package.file}; `harvester plugins lock` makes another lock"
    )


def cache_dir() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "harvester" / "wheels"


def _download(requirements: Sequence[str], folder: Path, what: Path, *options: str) -> None:
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "download", "--quiet"]
    command += [*_PURE, f"--python-version={_GUEST_PYTHON}", "--dest", str(folder), *options]
    try:
        done = subprocess.run(  # noqa: S603 - pip, no shell
            [*command, "--", *requirements],
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired as e:
        raise BuildError(f"{what}: dependencies: not fetched within {_TIMEOUT_S} s") from e
    if "No module named pip" in done.stderr:
        raise ToolMissingError("pip is not installed; run: python -m ensurepip")
    if done.returncode != 0:
        raise BuildError(f"{what}: dependencies.packages: {_why(done.stderr, requirements)}")


def _why(said: str, requirements: Sequence[str]) -> str:
    """Return why pip found no packages."""
    errors = [line.removeprefix("ERROR: ") for line in said.splitlines() if "ERROR: " in line]
    missing = [line for line in errors if line.startswith("No matching distribution found for ")]
    if missing:
        name = missing[0].rpartition(" for ")[2]
        return (
            f"found no wheel of pure Python (py3-none-any) for {name!r}; a plugin's packages have "
            "no compiled parts and are on the index that pip uses"
        )
    why = errors[0] if errors else "pip failed without a word"
    shown = why if len(why) <= _SHOWN_CHARS else f"{why[:_SHOWN_CHARS]}..."
    return f"{', '.join(requirements)}: {shown}"


def _keep(file: Path) -> Package:
    """Keep a wheel in the cache."""
    if not file.name.endswith(_PURE_TAG):
        raise BuildError(f"{file.name}: expected a wheel of pure Python (py3-none-any)")
    name, version, *_ = file.name.split("-")
    package = Package(name, version, file.name, _digest(file))
    kept = _cached(package)
    try:
        kept.parent.mkdir(parents=True, exist_ok=True)
        whole_file.replace(kept, file.read_bytes())
    except OSError as e:
        raise BuildError(f"{kept}: {e.strerror}") from e
    _trim(kept)
    return package


def _trim(newest: Path) -> None:
    """Remove the wheels that were not used for long, and the longest unused beyond the size."""
    whole_file.remove_abandoned(cache_dir())
    with contextlib.suppress(OSError):
        found = [(path.stat(), path) for path in cache_dir().glob("*/*.whl") if path != newest]
        room = _MOST_BYTES - newest.stat().st_size
        for status, path in sorted(found, key=lambda each: each[0].st_mtime, reverse=True):
            room -= status.st_size
            if room < 0 or time.time() - status.st_mtime > _KEPT_S:
                path.unlink(missing_ok=True)
                path.parent.rmdir()


def _cached(package: Package) -> Path:
    return cache_dir() / package.sha256[:16] / package.file


def _digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()
