"""Packed plugins for the systems under test."""

import pytest

from tests.built_components import packed
from tests.support import PROJECT


@pytest.fixture(scope="session", autouse=True)
def packed_plugins() -> None:
    """Compile the runtime beforehand: a program that is to stop ends the compiler's run first."""
    packed(PROJECT / "plugins")
