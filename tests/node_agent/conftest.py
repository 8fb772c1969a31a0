"""Plugins as the tests of the sandbox and the agent use them, made once."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from node_agent.sandbox.component import LoadedComponent
from node_agent.sandbox.limits import Limits
from node_agent.sandbox.runtime import Runtime
from tests.built_components import CACHE, built, packed
from tests.support import PATIENT_S, PROJECT, WAIT_S


@pytest.fixture(scope="session")
def mischief_wasm() -> Path:
    return built(PROJECT / "tests" / "components" / "mischief")


@pytest.fixture(scope="session")
def mischief_bundle() -> Path:
    return packed(PROJECT / "tests" / "components")["mischief"]


@pytest.fixture(scope="session")
def bundles() -> dict[str, Path]:
    return packed(PROJECT / "plugins")


@pytest.fixture(scope="session")
def runtime() -> Iterator[Runtime]:
    # Many plugins that load at once take their time on a loaded machine.
    limits = Limits(PATIENT_S, memory_mb=32, load_deadline_s=2 * WAIT_S, host_calls=1000)
    with Runtime(CACHE, limits) as runtime:
        yield runtime


@pytest.fixture(scope="session")
def mischief(runtime: Runtime, mischief_wasm: Path) -> Iterator[LoadedComponent]:
    with runtime.load(mischief_wasm) as loaded:
        yield loaded
