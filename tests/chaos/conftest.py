"""Compiled plugins for the systems under test."""

import pytest

from tests.built_components import built
from tests.support import PROJECT


@pytest.fixture(scope="session", autouse=True)
def compiled_plugins() -> None:
    """Compile beforehand: a program that is asked to stop ends the compiler's run first."""
    built(PROJECT / "plugins")
