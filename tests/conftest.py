"""How tests are spread over processes: those that share costly set-up stay together."""

from pathlib import Path

import pytest

_TESTS = Path(__file__).parent


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    # First: pytest-xdist reads the groups in the same hook.
    for item in items:
        item.add_marker(pytest.mark.xdist_group(_sharers(item.path.relative_to(_TESTS))))


def _sharers(file: Path) -> str:
    """Return which tests use what this file's use: a running system, an author's built project."""
    if file.parts[0] == "end_to_end":
        return "end_to_end"
    if file.name.startswith("test_author_"):
        return "author"
    return str(file)
