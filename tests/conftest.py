"""How tests are spread over processes: those that share costly set-up stay together."""

from pathlib import Path

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

_TESTS = Path(__file__).parent
# What takes longest goes first, so that no process is left with it alone at the end.
_LONGEST = ("author", "end_to_end", "chaos")
# The tests here share an author's project, but for those named.
_AUTHORS = {Path("harvester/plugins")}
_APART = {"test_cli.py", "test_compile.py"}


class BySharedSetUp(LoadScopeScheduling):
    """Gives each group of tests to one process."""

    def _split_scope(self, nodeid: str) -> str:
        return _sharers(Path(nodeid.split("::", maxsplit=1)[0]).relative_to(_TESTS.name))


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> BySharedSetUp:
    return BySharedSetUp(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: _place(item.path))


def _place(file: Path) -> int:
    group = _sharers(file.relative_to(_TESTS)) if file.is_relative_to(_TESTS) else ""
    return _LONGEST.index(group) if group in _LONGEST else len(_LONGEST)


def _sharers(file: Path) -> str:
    """Return which tests use what this file's use: a running system, an author's built project."""
    if file.parts[0] in ("end_to_end", "chaos"):
        return file.parts[0]
    if file.parent in _AUTHORS and file.name not in _APART:
        return "author"
    return str(file)
