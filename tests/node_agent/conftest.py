"""Components as the tests of the sandbox and the agent use them, built once."""

import fcntl
from collections.abc import Iterator
from pathlib import Path

import pytest

from harvester.plugins import source as plugin_source
from harvester.plugins.builder import build as plugin_build
from node_agent.sandbox import cache
from node_agent.sandbox.component import LoadedComponent
from node_agent.sandbox.limits import Limits
from node_agent.sandbox.runtime import Runtime
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


@pytest.fixture(scope="session")
def mischief_wasm() -> Path:
    return built(PROJECT / "tests" / "components")["mischief"]


@pytest.fixture(scope="session")
def plugin_wasm() -> dict[str, Path]:
    return built(PROJECT / "plugins")


@pytest.fixture(scope="session")
def runtime() -> Iterator[Runtime]:
    with Runtime(CACHE, Limits(deadline_s=0.5, memory_mb=32, host_calls=1000)) as runtime:
        yield runtime


@pytest.fixture(scope="session")
def mischief(runtime: Runtime, mischief_wasm: Path) -> Iterator[LoadedComponent]:
    with runtime.load(mischief_wasm) as loaded:
        yield loaded
