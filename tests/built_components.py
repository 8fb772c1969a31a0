"""Plugins as bundles or components, made once for all test processes."""

import contextlib
import fcntl
import hashlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

from harvester.plugins import source as plugin_source
from harvester.plugins.builder import build as plugin_build
from harvester.plugins.builder import runtime, toolchain
from harvester.plugins.builder.pack import pack_all
from node_agent.sandbox import cache
from node_agent.sandbox.engine import Target
from tests.support import PROJECT

WIT = PROJECT / "wit" / "plugin.wit"
CACHE = PROJECT / ".harvester" / "cache"


def built(plugin: Path) -> Path:
    """Return the component of the plugin in a folder, building it where it changed.

    It is compiled too, so that no test's time goes by while it waits for a compiler.
    """
    source = plugin_source.read(plugin)
    with _locked():
        for outcome in plugin_build.build_all(plugin_build.outdated([source], WIT), WIT):
            assert not outcome.error, outcome.error
        cache.compiled(source.wasm, CACHE)
    return source.wasm


def packed(directory: Path) -> dict[str, Path]:
    """Return the bundle of every plugin below `directory`, with the runtime ready to be mapped."""
    sources = plugin_source.discover(directory)
    with _locked():
        cache.compiled(runtime.ensure(), CACHE)
        pack_all(sources, WIT)
    return {source.name: source.bundle for source in sources}


def built_by_hand(directory: Path, world: str) -> Path:
    """Return the component of `app.py` and `plugin.wit`, built by the toolchain's own command.

    It is compiled quickly, too.
    """
    wasm, stamp = directory / f"{directory.name}.wasm", directory / f"{directory.name}.wasm.inputs"
    wit, source = directory / "plugin.wit", directory / "app.py"
    inputs = hashlib.sha256(wit.read_bytes() + source.read_bytes()).hexdigest()
    command = ["-d", wit, "-w", world, "componentize", source.stem, "-o", wasm]
    with _locked():
        if not wasm.exists() or not stamp.exists() or stamp.read_text() != inputs:
            program = toolchain.compiler()
            subprocess.run([program, "-q", *command], cwd=directory, check=True, timeout=300)
            stamp.write_text(inputs)
        compile_quickly(wasm)
    return wasm


@contextlib.contextmanager
def _locked() -> Iterator[None]:
    """Tests run in several processes: the second to come finds everything built."""
    cache.prepare_directory(CACHE)
    with CACHE.with_name("build.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def compile_quickly(component: Path, target: Target = Target.NATIVE) -> Path:
    """Compile in half the time, to code that is slower and needs more stack."""
    with quick_compiler():
        return cache.compiled(component, CACHE, target)[0]


@contextlib.contextmanager
def quick_compiler() -> Iterator[None]:
    usual, cache._COMPILER = cache._COMPILER, "tests.quick_compile"
    try:
        yield
    finally:
        cache._COMPILER = usual
