"""Modules of a plugin's dependencies, out of the locked wheels."""

import zipfile
from collections.abc import Iterator
from pathlib import Path

import msgspec

from bus.contract.plugin_file.bundle import MAX_TEXT_BYTES
from harvester.errors import BuildError
from harvester.plugins import manifest
from harvester.plugins.builder.dependencies import lock_file, wheels
from harvester.plugins.builder.dependencies.lock_file import Lock, Package
from harvester.plugins.source import PluginSource

_METADATA = (".dist-info", ".data")
# Beside the packages in some wheels, and never imported.
_TESTS = frozenset({"test", "tests"})


class Vendored(msgspec.Struct, frozen=True):
    """Packages as a bundle names them, and the text of their modules by path."""

    packages: list[str]
    modules: dict[str, str]


def of(source: PluginSource) -> Vendored:
    """Return the dependencies of a plugin; its lock is made where it is missing or outdated.

    Raises BuildError, ToolMissingError, MisconfiguredError.
    """
    wanted = source.manifest.dependencies.packages
    if not wanted:
        return Vendored([], {})
    lock = lock_file.read(source.directory)
    if lock is None or lock.requirements != wanted:
        lock = renew(source)
    what = source.directory / manifest.NAME
    modules: dict[str, str] = {}
    for package in lock.package:
        modules.update(_modules(wheels.wheel_of(package, what), package))
    return Vendored([f"{each.name} {each.version}" for each in lock.package], modules)


def renew(source: PluginSource) -> Lock:
    """Find packages for the plugin's requirements anew, and write its lock. Raises BuildError."""
    wanted = source.manifest.dependencies.packages
    lock = Lock(wanted, wheels.resolve(wanted, source.directory / manifest.NAME))
    lock_file.write(source.directory, lock)
    return lock


def extract(found: Vendored, folder: Path) -> None:
    """Write the modules below a folder, for the compiler."""
    for name, text in found.modules.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8", newline="")


def _modules(wheel: Path, package: Package) -> Iterator[tuple[str, str]]:
    """Yield path and text of each module in a wheel. Raises BuildError."""
    size = 0
    try:
        with zipfile.ZipFile(wheel) as archive:
            for entry in sorted(archive.infolist(), key=lambda entry: entry.filename):
                parts = entry.filename.split("/")
                if not entry.filename.endswith(".py") or parts[0].endswith(_METADATA):
                    continue
                size += entry.file_size
                if not {"", ".", ".."}.isdisjoint(parts):
                    raise BuildError(
                        f"{package.file}: found {entry.filename!r}, expected one within the wheel"
                    )
                if size > MAX_TEXT_BYTES:
                    raise BuildError(f"{package.file}: found more than a bundle can have")
                if parts[0] not in _TESTS:
                    yield entry.filename, archive.read(entry).decode("utf-8-sig")
    except (zipfile.BadZipFile, UnicodeDecodeError, OSError) as e:
        raise BuildError(f"{package.file}: {e}") from e
