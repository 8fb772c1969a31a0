"""The laboratory that the checks share, and the machines of a site."""

from collections.abc import Iterator

import pytest

from tests.machines.laboratory import Laboratory, laboratory


@pytest.fixture(scope="session")
def lab() -> Iterator[Laboratory]:
    with laboratory() as made:
        yield made
