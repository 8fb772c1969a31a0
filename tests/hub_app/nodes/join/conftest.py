"""The site that the tests of joins share."""

from collections.abc import Iterator

import pytest

from tests.hub_app.nodes.join.site import Site, running_site


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with running_site(tmp_path_factory.mktemp("join")) as made:
        yield made
