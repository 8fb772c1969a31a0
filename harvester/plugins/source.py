"""Plugin source folders: `plugin.toml`, its world, and the files that a build reads."""

import hashlib
from importlib.metadata import version
from pathlib import Path

import msgspec

from bus.contract.plugin_file.bundle import SUFFIX
from bus.contract.topics import is_name
from bus.errors import MisconfiguredError
from bus.install import assets
from harvester.plugins import manifest
from harvester.plugins.builder import guest_modules
from harvester.plugins.manifest import Manifest
from node_agent.hal.simulated.models.load import FILE_NAME

# Name of the way components are built: a new name makes all that were built before outdated.
_RECIPE = "checked-values"
# A plugin's tests are in its folder and never part of its component.
LOCK_NAME = "plugin.lock"
_TESTS = ("test_", "conftest.")


class PluginSource(msgspec.Struct, frozen=True):
    """One plugin's folder."""

    directory: Path
    manifest: Manifest

    @property
    def name(self) -> str:
        return self.directory.name

    @property
    def wasm(self) -> Path:
        return self.directory / f"{self.name}.wasm"

    @property
    def bundle(self) -> Path:
        return self.directory / f"{self.name}{SUFFIX}"

    @property
    def simulation(self) -> Path:
        """Where the author's simulated chips are, which run in the host and are never built."""
        return self.directory / FILE_NAME

    @property
    def python_paths(self) -> list[Path]:
        further = ((self.directory / path).resolve() for path in self.manifest.python_path)
        return [self.directory, *further]

    @property
    def stamp(self) -> Path:
        """Where the digest of what the component was built from is kept."""
        return self.wasm.with_suffix(".wasm.inputs")


def discover(plugins: Path) -> list[PluginSource]:
    """Return the plugins below `plugins`, by name. Raises MisconfiguredError on a bad manifest."""
    return [read(folder) for folder in folders(plugins)]


def folders(plugins: Path) -> list[Path]:
    """Return the folders of the plugins below `plugins`, by name."""
    return [path.parent for path in sorted(plugins.glob(f"*/{manifest.NAME}"))]


def read(directory: Path) -> PluginSource:
    """Return the plugin in `directory`. Raises MisconfiguredError where its manifest is bad."""
    if not is_name(directory.name):
        raise MisconfiguredError(
            f"{directory}: found {directory.name!r}, expected a name of a-z, 0-9 and dashes"
        )
    return PluginSource(directory, manifest.read(directory / manifest.NAME))


def python_files(source: PluginSource) -> list[Path]:
    """Return every module that may become part of the component."""
    files = (file for path in source.python_paths for file in sorted(path.rglob("*.py")))
    return [
        file for file in files if not file.name.startswith(_TESTS) and file != source.simulation
    ]


def digest_of_inputs(source: PluginSource, wit: Path) -> str:
    """Return a digest over all that a build reads: sources, contract, manifest, compiler."""
    digest = hashlib.sha256(f"{_RECIPE}:{version('componentize-py')}:".encode())
    for file in (source.directory / manifest.NAME, wit, *python_files(source)):
        digest.update(f"{file.name}:{file.stat().st_size}:".encode())
        digest.update(file.read_bytes())
    lock = source.directory / LOCK_NAME
    if lock.is_file():
        digest.update(lock.read_bytes())
    for text in guest_modules.texts().values():
        digest.update(text.encode())
    return digest.hexdigest()


def is_current(source: PluginSource, wit: Path) -> bool:
    """Whether the component on disk was built from the sources on disk.

    A wheel's components are: whoever installs it needs no compiler.
    """
    if assets.is_packaged() and source.directory.is_relative_to(assets.root()):
        return source.wasm.is_file()
    try:
        return source.wasm.exists() and source.stamp.read_text() == digest_of_inputs(source, wit)
    except FileNotFoundError:
        return False
