"""The plugins of a project as folders of source: `plugin.toml`, the world, what a build reads."""

import hashlib
from importlib.metadata import version
from pathlib import Path

import msgspec

from bus.contract.topics import is_name
from bus.errors import MisconfiguredError

MANIFEST = "plugin.toml"
# Changes with how components are built, so that those built otherwise count as outdated.
_RECIPE = "least-world"
# A plugin's tests stand in its folder and never become part of it.
_TESTS = ("test_", "conftest.")


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`plugin.toml`. `python_path` names further folders with modules, relative to the plugin."""

    world: str
    python_path: list[str] = []


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
    def python_paths(self) -> list[Path]:
        further = ((self.directory / path).resolve() for path in self.manifest.python_path)
        return [self.directory, *further]

    @property
    def stamp(self) -> Path:
        """Where the digest of what the component was built from is kept."""
        return self.wasm.with_suffix(".wasm.inputs")


def discover(plugins: Path) -> list[PluginSource]:
    """Return the plugins below `plugins`, by name. Raises MisconfiguredError on a bad manifest."""
    return [read(path.parent) for path in sorted(plugins.glob(f"*/{MANIFEST}"))]


def read(directory: Path) -> PluginSource:
    """Return the plugin in `directory`. Raises MisconfiguredError where its manifest is bad."""
    path = directory / MANIFEST
    if not is_name(path.parent.name):
        raise MisconfiguredError(
            f"{path.parent}: found {path.parent.name!r}, expected a name of a-z, 0-9 and dashes"
        )
    try:
        return PluginSource(path.parent, msgspec.toml.decode(path.read_bytes(), type=Manifest))
    except (msgspec.DecodeError, UnicodeDecodeError, OSError) as e:
        raise MisconfiguredError(f'{path}: {e}; expected world = "...-plugin"') from e


def python_files(source: PluginSource) -> list[Path]:
    """Return every module that may become part of the component."""
    files = (file for path in source.python_paths for file in sorted(path.rglob("*.py")))
    return [file for file in files if not file.name.startswith(_TESTS)]


def digest_of_inputs(source: PluginSource, wit: Path) -> str:
    """Return a digest over all that a build reads: sources, contract, manifest, compiler."""
    digest = hashlib.sha256(f"{_RECIPE}:{version('componentize-py')}:".encode())
    for file in (source.directory / MANIFEST, wit, *python_files(source)):
        digest.update(f"{file.name}:{file.stat().st_size}:".encode())
        digest.update(file.read_bytes())
    return digest.hexdigest()


def is_current(source: PluginSource, wit: Path) -> bool:
    """Whether the component on disk was built from the sources on disk."""
    try:
        return source.wasm.exists() and source.stamp.read_text() == digest_of_inputs(source, wit)
    except FileNotFoundError:
        return False
