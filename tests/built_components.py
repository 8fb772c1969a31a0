"""Components of whole folders, built and compiled once for all test processes."""

import fcntl
from pathlib import Path

from harvester.plugins import source as plugin_source
from harvester.plugins.builder import build as plugin_build
from node_agent.sandbox import cache
from tests.support import PROJECT

WIT = PROJECT / "wit" / "plugin.wit"
CACHE = PROJECT / ".harvester" / "cache"


def built(directory: Path) -> dict[str, Path]:
    """Return the component of every plugin below `directory`, building what changed.

    All are compiled too, so that no test's time goes by while it waits for a compiler.
    """
    sources = plugin_source.discover(directory)
    cache.prepare_directory(CACHE)
    # Tests run in several processes: the second to come finds everything built.
    with CACHE.with_name("build.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for outcome in plugin_build.build_all(plugin_build.outdated(sources, WIT), WIT):
            assert not outcome.error, outcome.error
        for source in sources:
            cache.compiled(source.wasm, CACHE)
    return {source.name: source.wasm for source in sources}
