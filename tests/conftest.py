"""Distribution of tests over processes: those that share costly set-up stay together."""

import gc
import os
import sys
from collections.abc import Generator
from functools import cache
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from bus import struct_types
from tests import failures, leftovers

# Wall time depends on what else the machine does: an example may take as long as a test may.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")

_TESTS = Path(__file__).parent
# Groups that take longest start first, so that no process is left with one alone at the end.
_GUIDE = "harvester/plugins/test_guide.py"
_LONGEST = ("author", "end_to_end", "wheel", "chaos", _GUIDE)
# The tests here share an author's project, but for those named.
_AUTHORS = {Path("harvester/plugins")}
_APART = {"test_cli.py", "test_compile.py", "test_guide.py"}
# They build components, drive a browser, run the whole system or take long: `make test-fast` leaves
# them out.
_SLOW = (
    "broker/auth/test_hub.py",
    "broker/external",
    "broker/auth/test_server_tls.py",
    "broker/embedded/store/test_store.py",
    "broker/embedded/test_back_pressure.py",
    "broker/embedded/test_fuzz.py",
    "broker/embedded/test_storms.py",
    "bus/outbox/test_outbox_machine.py",
    "bus/outbox/test_sender.py",
    "chaos",
    "end_to_end",
    "examples",
    "harvester/plugins",
    "hub_app/bus_link/test_cluster.py",
    "hub_app/fleet",
    "hub_app/history/test_writer.py",
    "hub_app/history/test_writer_machine.py",
    "hub_app/http/api/test_openapi.py",
    "hub_app/homeassistant/test_running_hub.py",
    "hub_app/http/test_fuzz.py",
    "hub_app/page",
    "hub_app/nodes/removal",
    "hub_app/serving",
    "hub_app/test_any_message.py",
    "hub_app/test_poisoned.py",
    "hub_app/process/test_server.py",
    "node_agent/plugins",
    "node_agent/sandbox",
    "node_agent/test_agent.py",
    "node_agent/test_display.py",
    "node_agent/test_former_contract.py",
    "pizero_native",
    "test_kept_files.py",
    "test_leftovers.py",
    "test_wheel.py",
)


class BySharedSetUp(LoadScopeScheduling):
    """Gives each group of tests to one process."""

    def _split_scope(self, nodeid: str) -> str:
        return _group(Path(nodeid.split("::", maxsplit=1)[0]).relative_to(_TESTS.name))


def pytest_configure(config: pytest.Config) -> None:
    leftovers.watch()
    _keep_bytecode()


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> BySharedSetUp:
    return BySharedSetUp(config, log)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Keep the garbage collector from all that is there before the first test.

    A full collection would look at every test and library, for a quarter of a second each time.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        # Brokers, hubs and agents of tests run in threads of this process.
        struct_types.prepare()
        gc.collect()
        gc.freeze()
        gc.enable()


def pytest_runtest_logstart() -> None:
    failures.begin()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add the processes that a failed test uses, with the ends of their logs."""
    made = yield
    if made.failed and (processes := "\n".join(failures.report())):
        made.sections.append(("Processes", processes))
    return made


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: _place(item.path))
    for item in items:
        if _is_slow(item.path):
            item.add_marker(pytest.mark.slow)


def _keep_bytecode() -> None:
    """Let processes that tests start load compiled modules, also where the caller forbids them.

    Otherwise each one compiles the whole product anew.
    """
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    sys.dont_write_bytecode = False


@cache
def _place(file: Path) -> int:
    group = _group(file.relative_to(_TESTS)) if file.is_relative_to(_TESTS) else ""
    return _LONGEST.index(group) if group in _LONGEST else len(_LONGEST)


@cache
def _is_slow(file: Path) -> bool:
    return any(file.is_relative_to(_TESTS / slow) for slow in _SLOW)


def _group(file: Path) -> str:
    """Return the set-up that the file's tests share: a running system, an author's project."""
    if file.parts[0] in ("end_to_end", "chaos"):
        return file.parts[0]
    if file.name == "test_wheel.py":
        return "wheel"
    if file.parent in _AUTHORS and file.name not in _APART:
        return "author"
    return str(file)
