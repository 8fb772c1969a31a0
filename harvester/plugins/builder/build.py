"""Builds plugins to WebAssembly components in parallel, only those that changed."""

import contextlib
import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

import msgspec

from bus.contract import component_section
from bus.contract.description import PluginDescription
from bus.install.hint import install_extra
from harvester.errors import BuildError, ToolMissingError
from harvester.plugins.builder import border, contract, least_world, source_check
from harvester.plugins.builder.errors import explain
from harvester.plugins.source import PluginSource, digest_of_inputs, is_current, python_files

_TIMEOUT_S = 300


class Built(msgspec.Struct, frozen=True):
    """The outcome of one plugin's build; `error` is empty where it succeeded."""

    source: PluginSource
    seconds: float
    error: str = ""


def outdated(sources: Sequence[PluginSource], wit: Path) -> list[PluginSource]:
    return [source for source in sources if not is_current(source, wit)]


def build_all(sources: Sequence[PluginSource], wit: Path) -> Iterator[Built]:
    """Build every source, as many at once as there are cores; yield each as it is done."""
    tool = compiler()
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        running = [pool.submit(_build, source, wit, tool) for source in sources]
        for done in as_completed(running):
            yield done.result()


def _build(source: PluginSource, wit: Path, compiler: Path) -> Built:
    began_s = time.monotonic()
    error = ""
    try:
        with _sole_build(source) as waited:
            if not (waited and is_current(source, wit)):
                _componentize(source, wit, compiler)
    except BuildError as e:
        error = str(e)
    return Built(source, time.monotonic() - began_s, error)


@contextlib.contextmanager
def _sole_build(source: PluginSource) -> Iterator[bool]:
    """Wait until no other process builds this plugin; yield whether there was one.

    The lock is on the plugin's folder, so that no file is left behind.
    """
    folder = os.open(source.directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        waited = False
        try:
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            waited = True
            print(f"{source.name}: waiting for another build of it", file=sys.stderr, flush=True)
            fcntl.flock(folder, fcntl.LOCK_EX)
        yield waited
    finally:
        os.close(folder)


def _componentize(source: PluginSource, wit: Path, compiler: Path) -> None:
    source_check.check(source, contract.read(wit.read_text()))
    inputs = digest_of_inputs(source, wit)
    partial = source.wasm.with_suffix(".wasm.partial")
    world = source.manifest.world
    with tempfile.TemporaryDirectory() as directory:
        least = Path(directory) / wit.name
        least.write_text(least_world.contract(wit.read_text(), world, python_files(source)))
        guest = Path(directory) / "guest"
        border.write(guest, least.read_text(), source)
        options = ["--quiet", "-d", str(least), "-w", world]
        command = [
            *(str(compiler), *options, "componentize", "-i", least_world.NAME),
            *(part for path in (*source.python_paths, guest) for part in ("-p", str(path))),
            *(border.ENTRY, "-o", str(partial)),
        ]
        try:
            _run(command, source, _bare_environment(Path(directory)))
            describe(partial, source.manifest.description)
            # Renamed into place, so that an agent never sees half a component.
            partial.replace(source.wasm)
        finally:
            partial.unlink(missing_ok=True)
    source.stamp.write_text(inputs)


def describe(wasm: Path, description: PluginDescription) -> None:
    """Append the description to a component; a plugin without one keeps its component as it is."""
    if description != PluginDescription():
        with wasm.open("ab") as file:
            file.write(component_section.encode(description))


def _bare_environment(directory: Path) -> dict[str, str]:
    """Return the compiler's environment: a virtual one in `directory`, without any package.

    It takes modules from the active one, or else from whatever Python it finds on this machine.
    """
    (directory / "lib" / "site-packages").mkdir(parents=True)
    return {**os.environ, "VIRTUAL_ENV": str(directory)}


def _run(command: list[str], source: PluginSource, environment: dict[str, str]) -> None:
    try:
        done = subprocess.run(  # noqa: S603 - the compiler, no shell
            command,
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_S,
            check=False,
            env=environment,
        )
    except subprocess.TimeoutExpired as e:
        raise BuildError(f"{source.directory}: not built within {_TIMEOUT_S} s") from e
    if done.returncode != 0:
        raise BuildError(explain(done.stderr or done.stdout, source))


def compiler() -> Path:
    """Return the toolchain's program. Raises ToolMissingError where it is not installed."""
    beside = Path(sys.executable).parent / "componentize-py"
    found = beside if beside.exists() else shutil.which("componentize-py")
    if found is None:
        raise ToolMissingError(f"componentize-py is not installed; run: {install_extra('build')}")
    return Path(found)
