"""Components of whole folders, built and compiled once for all test processes."""

import contextlib
import fcntl
from collections.abc import Iterator
from pathlib import Path

from harvester.plugins import source as plugin_source
from harvester.plugins.builder import build as plugin_build
from node_agent.sandbox import cache
from tests.support import PROJECT

WIT = PROJECT / "wit" / "plugin.wit"
CACHE = PROJECT / ".harvester" / "cache"


def built(directory: Path, *, is_quick: bool = False) -> dict[str, Path]:
    """Return the component of every plugin below `directory`, building what changed.

    All are compiled too, so that no test's time goes by while it waits for a compiler. `is_quick`:
    in half the time, to code that is slower and needs more stack.
    """
    sources = plugin_source.discover(directory)
    cache.prepare_directory(CACHE)
    # Tests run in several processes: the second to come finds everything built.
    with CACHE.with_name("build.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for outcome in plugin_build.build_all(plugin_build.outdated(sources, WIT), WIT):
            assert not outcome.error, outcome.error
        compile_all([source.wasm for source in sources], CACHE, is_quick=is_quick)
    return {source.name: source.wasm for source in sources}


def compile_all(components: list[Path], directory: Path, *, is_quick: bool) -> None:
    with quick_compiler() if is_quick else contextlib.nullcontext():
        for component in components:
            cache.compiled(component, directory)


@contextlib.contextmanager
def quick_compiler() -> Iterator[None]:
    usual, cache._COMPILER = cache._COMPILER, "tests.quick_compile"
    try:
        yield
    finally:
        cache._COMPILER = usual
