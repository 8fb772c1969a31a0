"""A PostgreSQL server for the session, and a database of its own for each test."""

from collections.abc import Iterator

import pytest

from tests.hub_app.fleet.postgres import PostgresServer, programs


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    bin_dir = programs()
    if bin_dir is None:
        pytest.skip("PostgreSQL 15 or later is not installed: apt-get install postgresql")
    server = PostgresServer(bin_dir)
    try:
        server.start()
        yield server
    finally:
        server.close()


@pytest.fixture
def url(postgres: PostgresServer) -> str:
    return postgres.new_database()
