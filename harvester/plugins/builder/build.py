"""Builds plugins to WebAssembly components in parallel, only those that changed."""

import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

import msgspec

from bus.contract.description import PluginDescription
from bus.contract.plugin_file import component_section
from harvester.errors import BuildError
from harvester.plugins.builder import border, contract, least_world, toolchain
from harvester.plugins.builder.checks import source_check
from harvester.plugins.builder.dependencies import vendored
from harvester.plugins.builder.errors import explain
from harvester.plugins.source import PluginSource, digest_of_inputs, is_current, python_files

# Products of builds, of which a component is some 18 MB.
_NOT_COPIED = shutil.ignore_patterns("*.wasm*", "*.cwasm*", "*.bundle", "__pycache__", ".git")


class Built(msgspec.Struct, frozen=True):
    """The outcome of one plugin's build; `error` is empty where it succeeded."""

    source: PluginSource
    seconds: float
    error: str = ""


def outdated(sources: Sequence[PluginSource], wit: Path) -> list[PluginSource]:
    return [source for source in sources if not is_current(source, wit)]


def build_all(sources: Sequence[PluginSource], wit: Path) -> Iterator[Built]:
    """Build every source, as many at once as there are cores; yield each as it is done."""
    tool = toolchain.compiler()
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        running = [pool.submit(_build, source, wit, tool) for source in sources]
        for done in as_completed(running):
            yield done.result()


def _build(source: PluginSource, wit: Path, compiler: Path) -> Built:
    began_s = time.monotonic()
    error = ""
    try:
        with toolchain.sole_build(source.directory, source.name) as waited:
            if not (waited and is_current(source, wit)):
                _componentize(source, wit, compiler)
    except BuildError as e:
        error = str(e)
    return Built(source, time.monotonic() - began_s, error)


def _componentize(source: PluginSource, wit: Path, compiler: Path) -> None:
    source_check.check(source, contract.read(wit.read_text()))
    # It may write the lock, which is one of the inputs.
    found = vendored.of(source)
    inputs = digest_of_inputs(source, wit)
    partial = source.wasm.with_suffix(".wasm.partial")
    world = source.manifest.world
    with tempfile.TemporaryDirectory() as directory:
        scratch = Path(directory)
        least = scratch / wit.name
        least.write_text(least_world.contract(wit.read_text(), world, python_files(source)))
        guest = scratch / "guest"
        packages = scratch / "packages"
        packages.mkdir()
        vendored.extract(found, packages)
        border.write(guest, least.read_text(), source)
        options = ["--quiet", "-d", str(least), "-w", world]
        command = [
            *(str(compiler), *options, "componentize", "-i", least_world.NAME),
            *(
                part
                for path in (*_copies(source, scratch), packages, guest)
                for part in ("-p", str(path))
            ),
            *(border.ENTRY, "-o", str(partial)),
        ]
        try:
            done = toolchain.run(command, source.directory, scratch)
            if done.returncode != 0:
                raise BuildError(explain(done.stderr or done.stdout, source))
            describe(partial, source.manifest.description)
            # Renamed into place, so that an agent never sees half a component.
            partial.replace(source.wasm)
        finally:
            partial.unlink(missing_ok=True)
    source.stamp.write_text(inputs)


def _copies(source: PluginSource, scratch: Path) -> list[Path]:
    """Copy the plugin's folders: the compiler mounts what it is given writable, and writes there.

    Raises BuildError where a folder cannot be read.
    """
    copies = [scratch / f"source-{place}" for place in range(len(source.python_paths))]
    for folder, copy in zip(source.python_paths, copies, strict=True):
        try:
            shutil.copytree(folder, copy, ignore=_NOT_COPIED)
        except (OSError, shutil.Error) as e:
            raise BuildError(f"{folder}: {e}") from e
    return copies


def describe(wasm: Path, description: PluginDescription) -> None:
    """Append the description to a component; a plugin without one keeps its component as it is."""
    if description != PluginDescription():
        with wasm.open("ab") as file:
            file.write(component_section.encode(description))
