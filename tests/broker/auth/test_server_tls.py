"""TLS: trusted certificates, versions, and the login that a client certificate allows."""

import datetime as dt
import logging
import shutil
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import msgspec
import pytest
from cryptography import x509

from broker.auth import accounts, certificates, server_tls
from bus.client import credentials
from bus.client.client import BusClient
from bus.client.credentials import Credentials
from bus.client.login import Login, tls_context
from bus.client.node import NodeBus
from bus.config import config_file
from bus.config.web_table import WebConfig
from bus.errors import MisconfiguredError
from harvester.doctor import services as doctor_services
from harvester.doctor.finding import Finding
from tests.broker.auth.hub import HubBus, hub_bus, hub_config
from tests.broker.embedded.raw import RawClient
from tests.harvester.doctor.fake_machine import FakePi
from tests.support import HOST, WAIT_S, Listener, wait_until

NOW = dt.datetime.now(dt.UTC)
NOT_AUTHORIZED = 5


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A CA with the hub's certificate."""
    directory = tmp_path_factory.mktemp("made") / "tls"
    certificates.init(directory, ["hub.lan", HOST], NOW)
    return directory


@pytest.fixture(scope="module")
def hub(made: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubBus]:
    with tls_hub(made, tmp_path_factory.mktemp("hub")) as running:
        yield running


@pytest.fixture(scope="module")
def login(hub: HubBus) -> Login:
    return login_of(hub, "pi4")


def tls_hub(made: Path, state: Path, **keys: object) -> AbstractContextManager[HubBus]:
    shutil.copytree(made, state / "tls")
    return hub_bus(state, **keys)


def login_of(hub: HubBus, node: str) -> Login:
    token = accounts.enroll(hub.accounts, node)
    ca = (hub.files.tls_dir / "ca.pem").read_text()
    return Login(username=node, token=token, tls=True, ca_pem=ca)


def connects(port: int, login: Login, patience_s: float = WAIT_S) -> bool:
    """Whether a client of ours gets in within the time."""
    done = threading.Event()
    client = BusClient(
        (HOST, port),
        client_id=login.username,
        login=login,
        on_connect=done.set,
    )
    client.start()
    try:
        return done.wait(patience_s if port else 0)
    finally:
        client.stop()


def handshake(port: int, context: ssl.SSLContext, host: str = HOST) -> RawClient:
    client = RawClient(port)
    client.sock = context.wrap_socket(client.sock, server_hostname=host)
    return client


def trusting(made: Path) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=made / "ca.pem")


def test_a_node_gets_in_over_tls(hub: HubBus, login: Login) -> None:
    assert connects(hub.tls_port, login)


def test_nothing_is_plain_but_on_this_machine(hub: HubBus) -> None:
    listeners = [line.split()[1] for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    port = f":{hub.port:04X}"
    assert {entry for entry in listeners if entry.endswith(port)} == {f"0100007F{port}"}
    with Listener(hub.port):
        pass
    with RawClient(hub.tls_port) as plain:
        plain.send(b"\x10\x0c\x00\x04MQTT\x04\x02\x00\x00\x00\x00")
        assert plain.is_closed()


def test_a_peer_that_leaves_before_its_handshake_is_named_with_the_reason(
    hub: HubBus, caplog: pytest.LogCaptureFixture
) -> None:
    with RawClient(hub.tls_port):
        pass
    said = f"TLS handshake with {HOST} failed: the other side closed the connection"
    wait_until(lambda: said in caplog.text)


def test_over_tls_nobody_is_local(hub: HubBus, made: Path) -> None:
    with handshake(hub.tls_port, trusting(made)) as client:
        assert client.connect("somebody") == NOT_AUTHORIZED


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
def test_older_versions_are_refused(hub: HubBus, made: Path, version: ssl.TLSVersion) -> None:
    context = trusting(made)
    # OpenSSL 3 itself refuses them without this.
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="deprecated"):
        context.minimum_version = version
    with pytest.warns(DeprecationWarning, match="deprecated"):
        context.maximum_version = version
    with pytest.raises((ssl.SSLError, ConnectionError)):
        handshake(hub.tls_port, context)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_newer_versions_are_taken(hub: HubBus, made: Path, version: ssl.TLSVersion) -> None:
    context = trusting(made)
    context.minimum_version = context.maximum_version = version
    handshake(hub.tls_port, context).sock.close()


# paho leaves the socket of a failed handshake to the garbage collector, which warns.
leaves_a_socket = pytest.mark.filterwarnings(
    "ignore:unclosed <ssl.SSLSocket:ResourceWarning",
    "ignore:Exception ignored in. <ssl.SSLSocket:pytest.PytestUnraisableExceptionWarning",
)


def refusals(port: int, login: Login, host: str = HOST) -> str:
    """Return what our client logs when it does not trust the broker."""
    said = threading.Event()
    lines: list[str] = []

    class Note(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(record.getMessage())
            said.set()

    note = Note()
    logger = logging.getLogger("bus.client.client")
    logger.addHandler(note)
    connected = threading.Event()
    client = BusClient(
        (host, port), client_id=login.username, login=login, on_connect=connected.set
    )
    client.start()
    try:
        assert said.wait(WAIT_S)
        assert not connected.is_set()
        return lines[0]
    finally:
        client.stop()
        logger.removeHandler(note)


@leaves_a_socket
def test_a_broker_of_another_ca_is_not_trusted(hub: HubBus, login: Login) -> None:
    other = certificates.make_authority(NOW).certificate.decode()
    wrong = Login(username=login.username, token=login.token, tls=True, ca_pem=other)
    assert "certificate verify failed" in refusals(hub.tls_port, wrong)


@leaves_a_socket
def test_a_broker_of_another_name_is_not_trusted(hub: HubBus, login: Login) -> None:
    assert "not valid for 'localhost'" in refusals(hub.tls_port, login, "localhost")


@leaves_a_socket
@pytest.mark.parametrize("age", [500, -400], ids=["expired", "not yet valid"])
def test_a_certificate_has_its_time(made: Path, tmp_path: Path, age: int) -> None:
    old = tmp_path / "old"
    shutil.copytree(made, old)
    certificates.renew(old, [HOST], NOW - dt.timedelta(days=age))
    first = NOW - dt.timedelta(days=age + 365)
    with tls_hub(old, tmp_path / "state") as hub:
        said = refusals(hub.tls_port, login_of(hub, "pi4"))
    assert f"its certificate is valid from {first:%Y-%m-%d}" in said


def test_a_renewed_certificate_is_shown_without_a_restart(made: Path, tmp_path: Path) -> None:
    with tls_hub(made, tmp_path) as hub:
        before = shown(hub, made)
        certificates.renew(hub.files.tls_dir, [], NOW)
        wanted = x509.load_pem_x509_certificate((hub.files.tls_dir / "hub.pem").read_bytes())
        deadline_s = time.monotonic() + WAIT_S
        while shown(hub, made) == before:
            assert time.monotonic() < deadline_s
        assert shown(hub, made) == wanted.serial_number


def shown(hub: HubBus, made: Path) -> int:
    with handshake(hub.tls_port, trusting(made)) as client:
        assert isinstance(client.sock, ssl.SSLSocket)
        found = client.sock.getpeercert(binary_form=True)
    assert found is not None
    return x509.load_der_x509_certificate(found).serial_number


@pytest.mark.parametrize("kind", ["optional", "required"])
def test_a_client_certificate_names_who_logs_in(made: Path, tmp_path: Path, kind: str) -> None:
    with tls_hub(made, tmp_path, broker__client_certificates=kind) as hub:
        login = login_of(hub, "pi4")
        assert connects(hub.tls_port, with_certificate(login, made, "pi4"))
        for other in ("pi5", "hub_app"):
            with handshake(hub.tls_port, client_context(made, other)) as client:
                code = client.connect("pi4", username="pi4", password=login.token.encode())
                assert code == NOT_AUTHORIZED
        # TLS 1.3 tells a client that has no certificate only after its handshake.
        with handshake(hub.tls_port, trusting(made)) as client:
            try:
                code = client.connect("pi4", username="pi4", password=login.token.encode())
            except OSError:
                code = None
            assert code == (0 if kind == "optional" else None)


def client_context(made: Path, name: str) -> ssl.SSLContext:
    return tls_context(with_certificate(Login(tls=True), made, name))


def with_certificate(login: Login, made: Path, name: str) -> Login:
    pair = certificates.make_client(certificates.authority(made), name, NOW)
    return Login(
        username=login.username,
        token=login.token,
        tls=True,
        ca_pem=(made / "ca.pem").read_text(),
        certificate_pem=pair.certificate.decode(),
        key_pem=pair.key.decode(),
    )


def test_a_certificate_of_anybody_is_worth_nothing(made: Path, tmp_path: Path) -> None:
    foreign = tmp_path / "foreign"
    certificates.init(foreign, ["x"], NOW)
    with tls_hub(made, tmp_path / "state", broker__client_certificates="optional") as hub:
        pair = certificates.make_client(certificates.authority(foreign), "pi4", NOW)
        context = trusting(made)
        (tmp_path / "pair").write_bytes(pair.certificate + pair.key)
        context.load_cert_chain(tmp_path / "pair")
        try:
            with handshake(hub.tls_port, context) as client:
                code = client.connect("pi4", username="pi4", password=b"x")
        except OSError:
            code = None
        assert code is None


def test_a_whole_node_talks_over_tls_with_the_file_alone(hub: HubBus, tmp_path: Path) -> None:
    login = login_of(hub, "pi6")
    file = tmp_path / "credentials.toml"
    credentials.save(
        file,
        Credentials(
            username="pi6",
            token=login.token,
            url=f"mqtts://{HOST}:{hub.tls_port}",
            ca_certificate=login.ca_pem,
        ),
    )
    config = hub_config(
        tmp_path,
        cluster__role="spoke",
        cluster__node_id="pi6",
        broker__credentials_file=file,
    )
    with Listener(hub.port) as ears, NodeBus(config):
        ears.wait_for(lambda said: b'"online"' in said.payload and said.topic.node == "pi6")


def test_the_ca_signs_servers_and_nothing_that_could_sign(made: Path) -> None:
    authority = x509.load_pem_x509_certificate((made / "ca.pem").read_bytes())
    hub = x509.load_pem_x509_certificate((made / "hub.pem").read_bytes())
    hub.verify_directly_issued_by(authority)
    constraints = authority.extensions.get_extension_for_class(x509.BasicConstraints)
    assert constraints.critical
    assert constraints.value == x509.BasicConstraints(ca=True, path_length=0)
    assert not hub.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    usage = hub.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [x509.oid.ExtendedKeyUsageOID.SERVER_AUTH]
    found = certificates.validity(made / "hub.pem")
    assert found.names == ("hub.lan", HOST)
    assert found.until - NOW == pytest.approx(dt.timedelta(days=460), abs=dt.timedelta(days=1))


def test_a_certificate_is_not_valid_for_longer_than_browsers_take(made: Path) -> None:
    hub = x509.load_pem_x509_certificate((made / "hub.pem").read_bytes())
    assert hub.not_valid_after_utc - hub.not_valid_before_utc <= dt.timedelta(days=825)


@pytest.mark.parametrize("days", [30, 300], ids=["30 days", "an old image"])
def test_a_node_whose_clock_is_behind_gets_in(days: int, tmp_path: Path) -> None:
    hubs_now = NOW + dt.timedelta(days=days)
    certificates.init(tmp_path / "made", [HOST], hubs_now)
    with tls_hub(tmp_path / "made", tmp_path / "state") as hub:
        assert connects(hub.tls_port, login_of(hub, "pi4"))


@leaves_a_socket
@pytest.mark.parametrize("days", [500, -600], ids=["not yet valid", "expired"])
def test_a_wrong_time_is_told_with_both_clocks(days: int, tmp_path: Path) -> None:
    hubs_now = NOW + dt.timedelta(days=days)
    began = dt.datetime.now(dt.UTC)
    certificates.init(tmp_path / "made", [HOST], hubs_now)
    with tls_hub(tmp_path / "made", tmp_path / "state") as hub:
        login = login_of(hub, "pi4")
        logged = refusals(hub.tls_port, login)
        url = f"mqtts://{HOST}:{hub.tls_port}"
        file = tmp_path / "credentials.toml"
        ca = login.ca_pem
        credentials.save(
            file, Credentials(username="pi4", token=login.token, url=url, ca_certificate=ca)
        )
        config = hub_config(
            tmp_path,
            cluster__role="spoke",
            cluster__node_id="pi4",
            broker__credentials_file=file,
        )
        [found] = doctor_services.brokers(config, WAIT_S)
    first, last = (hubs_now + dt.timedelta(days=more) for more in (-365, 460))
    said = (
        f"its certificate is valid from {first:%Y-%m-%d} to {last:%Y-%m-%d}, "
        "and the clock of this machine says "
    )
    # Midnight may have passed meanwhile.
    days_here = [f"{day:%Y-%m-%d}" for day in (began, dt.datetime.now(dt.UTC))]
    assert f"no trust in the broker at {HOST}:{hub.tls_port}: {said}" in logged
    for text in (logged, found.found):
        assert text.partition(said)[2][:10] in days_here


def test_a_second_ca_would_lock_every_node_out(made: Path) -> None:
    with pytest.raises(MisconfiguredError, match="there is a CA already"):
        certificates.init(made, [HOST], NOW)


@pytest.mark.parametrize("name", ["a b", "", "x" * 300, "hub/lan", "-x"])
def test_a_name_that_is_none_is_refused(made: Path, name: str) -> None:
    with pytest.raises(MisconfiguredError, match="expected a host name or an address"):
        certificates.make_hub(certificates.authority(made), [name], NOW)


@pytest.mark.parametrize(
    ("file", "use"),
    [
        ("hub.key", lambda directory: server_tls.load(directory, "none")),
        ("ca.key", certificates.authority),
    ],
    ids=["hub.key", "ca.key"],
)
def test_a_key_that_others_may_read_is_refused(
    made: Path, tmp_path: Path, file: str, use: Callable[[Path], object]
) -> None:
    open_to_others = tmp_path / "tls"
    shutil.copytree(made, open_to_others)
    (open_to_others / file).chmod(0o640)
    with pytest.raises(MisconfiguredError, match="found mode 0640, expected 0600"):
        use(open_to_others)


@pytest.mark.parametrize("damage", ["missing", "other", "text"])
def test_a_certificate_without_its_key_stops_the_hub(
    made: Path, tmp_path: Path, damage: str
) -> None:
    broken = tmp_path / "tls"
    shutil.copytree(made, broken)
    if damage == "missing":
        (broken / "hub.key").unlink()
    else:
        other = certificates.make_authority(NOW).key if damage == "other" else b"x"
        (broken / "hub.key").write_bytes(other)
    with pytest.raises(MisconfiguredError, match="found no certificate with its key"):
        server_tls.load(broken, "none")


def test_where_there_is_no_certificate_there_is_no_tls(tmp_path: Path) -> None:
    assert server_tls.load(tmp_path, "none") is None


def doctor(hub: HubBus, tmp_path: Path, login: Login, url: str) -> Finding:
    file = tmp_path / "credentials.toml"
    made = Credentials(username=login.username, token=login.token, ca_certificate=login.ca_pem)
    credentials.save(file, made)
    config = hub_config(
        tmp_path,
        cluster__role="spoke",
        cluster__node_id=login.username,
        broker__url=url,
        broker__credentials_file=file,
    )
    [found] = doctor_services.brokers(config, WAIT_S)
    return found


def test_the_doctor_logs_in_as_the_node_does(hub: HubBus, tmp_path: Path) -> None:
    url = f"mqtts://{HOST}:{hub.tls_port}"
    login = login_of(hub, "pi10")
    found = doctor(hub, tmp_path, login, url)
    assert (found.is_well, found.found) == (True, "takes connections of pi10 over TLS")
    accounts.revoke(hub.accounts, "pi10")
    refused = doctor(hub, tmp_path, login, url)
    assert refused.found == "no MQTT connection: Not authorized"
    assert "run `sudo harvester enroll pi10` on the hub" in refused.mend
    other = certificates.make_authority(NOW).certificate.decode()
    distrusted = Login(username="pi10", token=login.token, ca_pem=other)
    assert "not trusted" in doctor(hub, tmp_path, distrusted, url).found
    (tmp_path / "credentials.toml").chmod(0o644)
    in_clear = doctor(hub, tmp_path, distrusted, f"mqtt://{HOST}:{hub.port}")
    assert in_clear.what == "credentials"
    assert "in clear" in in_clear.found


def test_the_doctor_misses_a_certificate_that_the_page_needs(tmp_path: Path) -> None:
    machine = FakePi(tmp_path).machine()
    plain = config_file.load(None, ["cluster.role=hub", f"broker.tls_dir={tmp_path / 'tls'}"])
    assert list(doctor_services.hub_certificate(plain, machine)) == []
    https = msgspec.structs.replace(plain, web=WebConfig(tls=True))
    [found] = doctor_services.hub_certificate(https, machine)
    assert not found.is_well
    assert found.mend.endswith("harvester tls init")
    certificates.init(tmp_path / "tls", [HOST], NOW)
    [found] = doctor_services.hub_certificate(https, machine)
    assert found.is_well


def test_the_doctor_warns_before_a_certificate_expires(made: Path, tmp_path: Path) -> None:
    machine = FakePi(tmp_path).machine()
    assert doctor_services.certificate(machine, made, NOW).is_well
    late = doctor_services.certificate(machine, made, NOW + dt.timedelta(days=800))
    assert not late.is_well
    assert late.mend.endswith("harvester tls renew")
