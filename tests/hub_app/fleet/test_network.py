"""The network between a hub and the fleet's database: TCP, firewalls, TLS and passwords."""

import contextlib
import datetime as dt
from collections.abc import Iterator
from pathlib import Path

import msgspec
import psycopg
import pytest

from broker.auth import certificates
from bus.config.history_table import FleetConfig
from hub_app.fleet.connection import Timeouts, connect
from hub_app.fleet.errors import FleetUnavailableError
from hub_app.fleet.forward.forwarder import FleetForwarder
from tests.chaos.proxy import Proxy, Way
from tests.hub_app.fleet.postgres import PostgresServer, Tls, programs
from tests.hub_app.fleet.site import TIMES, Site, reading, stored, wait_for
from tests.support import HOST, free_port, wait_until

PASSWORD = "correct horse"
NOW = dt.datetime.now(dt.UTC)
# Of the loopback address, and no name of the certificate.
OTHER_NAME = "localhost"


@pytest.fixture(scope="module")
def authority() -> certificates.Pair:
    return certificates.make_authority(NOW)


@pytest.fixture(scope="module")
def server(
    authority: certificates.Pair, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[PostgresServer]:
    """A server on TCP that asks for a password, and speaks TLS with a certificate for 127.0.0.1."""
    bin_dir = programs()
    if bin_dir is None:
        pytest.skip("PostgreSQL 15 or later is not installed: apt-get install postgresql")
    pair = certificates.make_hub(authority, [HOST], NOW)
    running = PostgresServer(
        bin_dir, port=free_port(), tls=Tls(pair.certificate, pair.key), password=PASSWORD
    )
    try:
        running.start()
        yield running
    finally:
        running.close()


@pytest.fixture
def database(server: PostgresServer) -> str:
    """The name of an empty database."""
    return server.new_database().partition("?")[0].rpartition("/")[2]


@pytest.fixture
def password_file(tmp_path: Path) -> Path:
    path = tmp_path / "password"
    path.write_text(f"{PASSWORD}\n")
    path.chmod(0o600)
    return path


@pytest.fixture
def ca_file(authority: certificates.Pair, tmp_path: Path) -> Path:
    path = tmp_path / "ca.pem"
    path.write_bytes(authority.certificate)
    return path


def refusal(settings: FleetConfig) -> str:
    with pytest.raises(FleetUnavailableError) as refused:
        connect(settings, "test").close()
    return str(refused.value)


@contextlib.contextmanager
def site_at(url: str, folder: Path, password_file: Path) -> Iterator[Site]:
    with contextlib.closing(Site(folder / "berlin", url)) as site:
        site.settings = msgspec.structs.replace(site.settings, password_file=str(password_file))
        yield site


# What arrives


def test_readings_are_forwarded_over_tls(
    server: PostgresServer, database: str, tmp_path: Path, password_file: Path, ca_file: Path
) -> None:
    url = f"postgresql://harvester@{HOST}:{server.port}/{database}"
    verified = f"{url}?sslmode=verify-full&sslrootcert={ca_file}"
    with site_at(verified, tmp_path, password_file) as site, site.forwarding():
        site.store([reading(n) for n in range(20)])
        own = server.url(database)
        wait_for(own, 20)
        with psycopg.connect(own) as db:
            found = db.execute(
                "SELECT ssl FROM pg_stat_ssl JOIN pg_stat_activity USING (pid)"
                " WHERE application_name = 'harvester hub berlin'"
            ).fetchall()
    assert found == [(True,)]


def test_a_certificate_for_another_name_is_refused(
    server: PostgresServer, database: str, password_file: Path, ca_file: Path
) -> None:
    url = (
        f"postgresql://harvester@{OTHER_NAME}:{server.port}/{database}"
        f"?sslmode=verify-full&sslrootcert={ca_file}&hostaddr={HOST}"
    )
    said = refusal(FleetConfig(url=url, site="berlin", password_file=str(password_file)))
    assert f'certificate for "{HOST}"' in said
    assert f'does not match host name "{OTHER_NAME}"' in said


def test_a_certificate_of_another_authority_is_refused(
    server: PostgresServer, database: str, password_file: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other.pem"
    other.write_bytes(certificates.make_authority(NOW).certificate)
    url = (
        f"postgresql://harvester@{HOST}:{server.port}/{database}"
        f"?sslmode=verify-full&sslrootcert={other}"
    )
    said = refusal(FleetConfig(url=url, site="berlin", password_file=str(password_file)))
    assert "certificate verify failed" in said


def test_a_wrong_password_is_refused_and_not_told(
    server: PostgresServer, database: str, password_file: Path
) -> None:
    url = f"postgresql://harvester@{HOST}:{server.port}/{database}"
    password_file.write_text("wrong horse")
    said = refusal(FleetConfig(url=url, site="berlin", password_file=str(password_file)))
    assert 'password authentication failed for user "harvester"' in said
    assert "wrong horse" not in said


def test_a_password_that_others_can_read_is_not_used(
    server: PostgresServer, database: str, tmp_path: Path, password_file: Path
) -> None:
    url = f"postgresql://harvester@{HOST}:{server.port}/{database}"
    password_file.chmod(0o640)
    with site_at(url, tmp_path, password_file) as site, site.forwarding() as forwarder:
        site.store([reading(1)])
        wait_until(lambda: f"chmod 600 {password_file}" in forwarder.status.fault)
        # Mended while the hub runs.
        password_file.chmod(0o600)
        wait_for(server.url(database), 1)


def test_a_password_that_is_changed_later_is_named_and_read_again(
    server: PostgresServer, database: str, tmp_path: Path, password_file: Path
) -> None:
    url = f"postgresql://harvester@{HOST}:{server.port}/{database}"
    with site_at(url, tmp_path, password_file) as site, site.forwarding() as forwarder:
        site.store([reading(1)])
        wait_for(server.url(database), 1)
        with psycopg.connect(server.url(database), autocommit=True) as db:
            db.execute("ALTER USER harvester PASSWORD 'other horse'")
            try:
                db.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
                )
                site.store([reading(2)])
                wait_until(lambda: "password authentication failed" in forwarder.status.fault)
                password_file.write_text("other horse")
                wait_for(server.url(database), 2)
            finally:
                db.execute(f"ALTER USER harvester PASSWORD '{PASSWORD}'".encode())


def test_a_missing_password_file_is_named(server: PostgresServer, database: str) -> None:
    url = f"postgresql://harvester@{HOST}:{server.port}/{database}"
    said = refusal(FleetConfig(url=url, site="berlin", password_file="/no/such/file"))
    assert said == "/no/such/file: found no such file; expected one with a password"


# Networks that tell nothing


@contextlib.contextmanager
def behind_a_proxy(
    server: PostgresServer, database: str, folder: Path, password_file: Path, network: Timeouts
) -> Iterator[tuple[Site, Proxy, FleetForwarder]]:
    times = msgspec.structs.replace(TIMES, network=network)
    with Proxy(free_port(), server.port, piece_bytes=2**16) as proxy:
        url = f"postgresql://harvester@{HOST}:{proxy.port}/{database}"
        with site_at(url, folder, password_file) as site, site.forwarding(times) as forwarder:
            yield site, proxy, forwarder


def test_packets_that_a_firewall_drops_are_noticed(
    server: PostgresServer, database: str, tmp_path: Path, password_file: Path
) -> None:
    own = server.url(database)
    network = Timeouts(connect_s=2.0, lost_s=4.0)
    with behind_a_proxy(server, database, tmp_path, password_file, network) as it:
        site, proxy, forwarder = it
        site.store([reading(n) for n in range(100)])
        wait_for(own, 100)
        proxy.drop()
        site.store([reading(n) for n in range(100, 4000)])
        wait_until(lambda: not forwarder.status.connected)
        # Neither does a connection that hangs while it is made keep it for long.
        wait_until(lambda: "timeout" in forwarder.status.fault)
        wait_until(lambda: forwarder.status.waiting >= 3900)
        proxy.heal()
        wait_for(own, 4000)
        wait_until(lambda: forwarder.status.waiting == 0)
    assert stored(own) == [("pi4", "s", n) for n in range(4000)]


def test_a_proxy_that_carries_nothing_is_noticed(
    server: PostgresServer, database: str, tmp_path: Path, password_file: Path
) -> None:
    own = server.url(database)
    # The proxy acknowledges every packet, so that TCP finds nothing wrong.
    network = Timeouts(answer_s=4.0)
    with behind_a_proxy(server, database, tmp_path, password_file, network) as it:
        site, proxy, forwarder = it
        site.store([reading(n) for n in range(100)])
        wait_for(own, 100)
        proxy.stall(Way.DOWN)
        site.store([reading(n) for n in range(100, 200)])
        wait_until(lambda: "no answer within 4 s" in forwarder.status.fault)
        # What the database has stored meanwhile comes no second time.
        proxy.heal()
        wait_for(own, 200)
        wait_until(lambda: forwarder.status.waiting == 0)
    assert stored(own) == [("pi4", "s", n) for n in range(200)]
