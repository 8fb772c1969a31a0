"""Packing of plugins to bundles: a plugin's modules, description and imports in one file.

Nothing is compiled, so that it takes milliseconds, and the same source makes the same bytes.
"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from bus.contract.plugin_file import bundle
from bus.contract.plugin_file.bundle import BadBundleError, Bundle, Module
from bus.files import whole_file
from harvester.errors import BuildError
from harvester.plugins.builder import contract, least_world
from harvester.plugins.builder.checks import source_check, source_text
from harvester.plugins.builder.dependencies import vendored
from harvester.plugins.builder.dependencies.vendored import Vendored
from harvester.plugins.source import PluginSource, python_files

_PACKAGE = "__init__"
# A copy of it is run by a service that is another user.
_MODE = 0o644


def pack(source: PluginSource, wit: Path) -> bytes:
    """Return the bundle of a plugin. Raises BuildError with file and line of each mistake.

    What only the guest's Python can tell, such as a syntax error, is found when it is loaded.
    """
    known = contract.read(wit.read_text())
    source_check.check(source, known, leaves_syntax=True)
    world = known.worlds[source.manifest.world]
    modules = dict(_modules(source))
    found = vendored.of(source)
    used = least_world.interfaces_in(module.source for module in modules.values())
    try:
        return bundle.encode(
            Bundle(
                world=source.manifest.world,
                imports=[name for name in world.imports if {name, "*"} & used],
                exports=world.exports,
                description=source.manifest.description,
                modules=dict(_packaged(found, len(source.python_paths))) | modules,
                packages=found.packages,
            )
        )
    except BadBundleError as e:
        raise BuildError(f"{source.directory}: {e}") from e


def pack_all(sources: Sequence[PluginSource], wit: Path) -> list[Path]:
    """Pack plugins, each to its `bundle`; return those files that changed."""
    return [source.bundle for source in sources if write_changed(source.bundle, pack(source, wit))]


def write_changed(path: Path, content: bytes) -> bool:
    """Write a file, whole or not at all, where it has other content; return whether it had.

    Raises BuildError where it cannot be written.
    """
    # A rename would put a file in the place of a device, or of the link `/dev/stdout`.
    path = path.resolve()
    if path.exists() and not path.is_file() and not path.is_dir():
        raise BuildError(f"{path}: found a device or pipe, expected a file")
    try:
        if path.is_file() and path.read_bytes() == content:
            return False
        whole_file.replace(path, content, mode=_MODE)
    except OSError as e:
        raise BuildError(f"{path}: {e.strerror}") from e
    return True


def _modules(source: PluginSource) -> Iterator[tuple[str, Module]]:
    """Yield modules by name; of two with one name that of the earlier folder."""
    seen: set[str] = set()
    files = python_files(source)
    for place, folder in enumerate(source.python_paths):
        for file in files:
            if not file.is_relative_to(folder):
                continue
            for name, module in _module(place, folder, file):
                if name not in seen:
                    seen.add(name)
                    yield name, module


def _packaged(found: Vendored, place: int) -> Iterator[tuple[str, Module]]:
    """Yield the modules of packages, in a folder after those of the plugin's Python path."""
    for path, text in found.modules.items():
        parts, is_package = _parts(Path(path))
        if parts:
            yield ".".join(parts), Module(f"{place}/{path}", text, is_package)
            yield from _packages_above(place, parts, found.modules.__contains__)


def _module(place: int, folder: Path, file: Path) -> Iterator[tuple[str, Module]]:
    """Yield the module in a file, and the packages without a file of their own that it is in."""
    relative = file.relative_to(folder)
    parts, is_package = _parts(relative)
    if not parts:
        return
    yield (
        ".".join(parts),
        Module(f"{place}/{relative.as_posix()}", source_text.read(file), is_package),
    )
    yield from _packages_above(place, parts, lambda path: (folder / path).is_file())


def _parts(file: Path) -> tuple[tuple[str, ...], bool]:
    """Return the parts of a module's name, none where it has none, and whether it is a package."""
    is_package = file.stem == _PACKAGE
    parts = file.parent.parts if is_package else file.with_suffix("").parts
    return (parts if all(part.isidentifier() for part in parts) else ()), is_package


def _packages_above(
    place: int, parts: tuple[str, ...], has: Callable[[str], bool]
) -> Iterator[tuple[str, Module]]:
    """Yield the packages that a module is in and that have no file of their own."""
    for depth in range(1, len(parts)):
        above = Path(*parts[:depth], f"{_PACKAGE}.py").as_posix()
        if not has(above):
            yield (
                ".".join(parts[:depth]),
                Module(f"{place}/{above}", "", is_package=True),
            )
