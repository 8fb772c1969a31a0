"""`harvester bus` against real brokers: the hub's own with its access rules, and Mosquitto."""

import datetime as dt
import io
import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from broker.auth import accounts, certificates
from broker.auth.account_gate import AccountGate
from broker.auth.gate import Role
from broker.auth.password_check import PasswordCheck
from bus.client.link import WireMessage
from bus.clock import now_ms
from bus.contract.description import About
from bus.contract.messages import Buzzer, encode
from bus.contract.topics import Topic, TopicKind
from harvester import cli
from harvester.bus import publish
from harvester.bus.session import BusSession
from tests.broker.auth.hub import hub_bus
from tests.default_descriptions import description_of
from tests.hub_app.samples import reading, status
from tests.support import HOST, PROJECT, WAIT_S, Listener, embedded_broker, free_port, mosquitto

PASSWORD = "kims own secret"
READING = "harvester/pi4/readings/dht22-gpio4"
FAN = "harvester/pi4/fan/cmd"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("bus")
    (made / "hub.toml").write_text('[cluster]\nnode_id = "revpi"\nrole = "hub"\n')
    secret = made / "password"
    secret.write_text(PASSWORD)
    secret.chmod(0o600)
    return made


@pytest.fixture(scope="module")
def guarded(folder: Path) -> Iterator[int]:
    """The port of the hub's broker with its access rules: kim looks, this machine commands."""
    path, port = folder / "accounts.json", free_port()
    accounts.set_password(path, "kim", Role.VIEWER, PASSWORD)
    gate = AccountGate(path, PasswordCheck(time.monotonic), hub_token=None, allow_local=True)
    with embedded_broker(port, gate):
        yield port


@pytest.fixture(scope="module")
def open_broker(folder: Path) -> Iterator[int]:
    """The port of a broker without access rules, with a node's retained state."""
    port = free_port()
    with embedded_broker(port), Listener(port) as node:
        node.publish(Topic("pi4", TopicKind.STATUS), encode(status()))
        about = About("", "Kitchen", "", "", "", "", {}, {})
        node.publish(Topic("pi4", TopicKind.ABOUT), encode(about))
        topic = Topic("pi4", TopicKind.SENSOR, "dht22-gpio4")
        described = msgspec.structs.replace(description_of("dht22-gpio4"), title="DHT22")
        node.publish(topic, encode(described))
        told, said = reading(now_ms(), temperature=21.4, humidity=44.0)
        node.publish(told, encode(said))
        node.wait_topic(READING)
        yield port


@pytest.fixture(scope="module")
def mosquitto_port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    port = free_port()
    with mosquitto(port, tmp_path_factory.mktemp("mosquitto")):
        yield port


def words(folder: Path, port: int, *arguments: str) -> list[str]:
    where = ["--config", str(folder / "hub.toml"), "--set", f"broker.port={port}"]
    return ["bus", arguments[0], *where, *arguments[1:]]


def run(folder: Path, port: int, *arguments: str) -> None:
    cli.main(words(folder, port, *arguments))


def refused(
    capsys: pytest.CaptureFixture[str], folder: Path, port: int, *arguments: str
) -> tuple[int, str]:
    with pytest.raises(SystemExit) as caught:
        run(folder, port, *arguments)
    return int(str(caught.value.code)), capsys.readouterr().err


def test_the_retained_state_is_printed_with_names_and_units(
    folder: Path, open_broker: int, capsys: pytest.CaptureFixture[str]
) -> None:
    run(folder, open_broker, "sub", "--last", "harvester/+/readings/#", "harvester/+/status")
    lines = sorted(line[9:] for line in capsys.readouterr().out.splitlines())
    assert lines == [
        "pi4 Kitchen/DHT22 temperature 21.4 \u00b0C humidity 44.0 %RH",
        "pi4 online",
    ]


def test_raw_and_json_are_for_programs(
    folder: Path, open_broker: int, capsys: pytest.CaptureFixture[str]
) -> None:
    run(folder, open_broker, "sub", "--last", "--json", READING)
    found = json.loads(capsys.readouterr().out)
    assert (found["topic"], found["retained"]) == (READING, True)
    assert found["payload"]["data"] == {"temperature": 21.4, "humidity": 44.0}
    run(folder, open_broker, "sub", "--last", "--raw", READING)
    topic, _, payload = capsys.readouterr().out.partition(" ")
    assert (topic, json.loads(payload)["sensor_id"]) == (READING, "dht22-gpio4")


def test_a_count_or_a_time_ends_it(
    folder: Path, open_broker: int, capsys: pytest.CaptureFixture[str]
) -> None:
    run(folder, open_broker, "sub", "--raw", "--count", "2")
    assert len(capsys.readouterr().out.splitlines()) == 2
    run(folder, open_broker, "sub", "--raw", "--duration", "100ms", "harvester/pi9/#")
    assert capsys.readouterr().out == ""


def test_a_message_is_published_and_heard_by_others(
    folder: Path,
    open_broker: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with Listener(open_broker, "harvester/pi8/#") as ears:
        run(folder, open_broker, "pub", "harvester/pi8/fan/cmd", "-m", "auto")
        assert ears.wait_topic("harvester/pi8/fan/cmd").payload == b"auto"
        run(folder, open_broker, "pub", "harvester/pi8/buzzer/cmd", "--json", '{"pattern": "off"}')
        assert ears.wait_topic("harvester/pi8/buzzer/cmd").payload == b'{"pattern": "off"}'
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"beep3")))
        run(folder, open_broker, "pub", "harvester/pi8/leds/cmd", "--stdin")
        assert ears.wait_topic("harvester/pi8/leds/cmd").payload == b"beep3"


def test_a_message_that_the_access_rules_drop_is_told(
    folder: Path,
    guarded: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    run(folder, guarded, "pub", FAN, "-m", "on")
    monkeypatch.setattr(publish, "ECHO_S", 0.5)
    code, error = refused(capsys, folder, guarded, "pub", "harvester/pi4/status", "-m", "x")
    assert code == 1
    assert "harvester/pi4/status: the broker acknowledged the message and did not pass it" in error
    login = ("--user", "kim", "--password-file", str(folder / "password"))
    code, error = refused(capsys, folder, guarded, "pub", *login, FAN, "-m", "on")
    assert (code, "access rules do not let this login publish there" in error) == (1, True)


def test_a_login_that_the_broker_refuses_is_told(
    folder: Path, guarded: int, capsys: pytest.CaptureFixture[str]
) -> None:
    login = ("--user", "nobody", "--password-file", str(folder / "password"))
    code, error = refused(capsys, folder, guarded, "sub", *login)
    assert code == 1
    assert "refused the connection: Not authorized; is it the right --user and password?" in error
    code, error = refused(capsys, folder, guarded, "sub", "secret/#")
    assert (code, "refused to subscribe to secret/#" in error) == (1, True)


def test_no_broker_is_one_clear_line(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    port = free_port()
    code, error = refused(capsys, folder, port, "sub")
    assert code == 1
    assert error == f"no answer from the broker at {HOST}:{port}: Connection refused\n"


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("sub", "harvester/#/x"), "found the filter 'harvester/#/x'"),
        (("sub", "--duration", "soon"), "found 'soon', expected a time: 30s, 5min, 1h"),
        (("sub", "--count", "0"), "found '0', expected a whole number of 1 to 18 digits, not 0"),
        (("sub", "--count", "9" * 5000), "expected a whole number of 1 to 18 digits"),
        (("sub", "--duration", "99999999d"), "expected a year, 365d, at most"),
        (("sub", "\udcff"), "found the filter"),
        (("pub", "\udcff", "-m", "x"), "found the topic"),
        (("pub", "a", "-m", "\udcff"), "no UTF-8, expected --stdin"),
        (("pub", "harvester/+/fan/cmd", "-m", "on"), "expected one without + and #"),
        (("pub", FAN, "-m", "on", "--retain"), "--retain: found the command harvester/pi4/fan/cmd"),
        (("pub", FAN), "one of the arguments -m/--message --json --stdin is required"),
        (("pub", FAN, "-m", "on", "--broker", "http://x"), "--broker: found 'http://x'"),
        (("pub", FAN, "-m", "on", "--user", "kim"), "expected --password-file"),
        (("sub", "--user", "kim", "--password-file", "/none"), "--password-file: found no /none"),
        (("sub", "--broker", "mqtts://localhost", "--ca", "/none"), "/none: "),
        (("clean", "harvester/#"), "clean: found no terminal to ask, expected --yes"),
    ],
)
def test_a_wrong_command_line_is_told_before_anything_is_sent(
    folder: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], error: str
) -> None:
    code, found = refused(capsys, folder, 1, *arguments)
    assert (code, error in found) == (2, True), found


def test_what_is_no_json_is_not_sent(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, error = refused(capsys, folder, 1, "pub", FAN, "--json", "{on}")
    assert (code, "--json: found no JSON" in error) == (1, True)


def test_cleaning_shows_and_removes_what_is_retained(
    folder: Path, mosquitto_port: int, capsys: pytest.CaptureFixture[str]
) -> None:
    port = mosquitto_port
    run(folder, port, "pub", "--retain", "harvester/old/buzzer", "-m", "x")
    run(folder, port, "pub", "--retain", "elsewhere/b", "-m", "y" * 80)
    run(folder, port, "clean", "--yes", "harvester/old/#")
    assert capsys.readouterr().out == "harvester/old/buzzer x\nremoved 1 of 1\n"
    run(folder, port, "clean", "--yes", "harvester/old/#")
    assert capsys.readouterr().out == "nothing is retained on harvester/old/#\n"
    run(folder, port, "sub", "--last", "#")
    assert re.fullmatch(r"\d\d:\d\d:\d\d elsewhere/b y{80}\n", capsys.readouterr().out)


def test_nothing_is_removed_without_a_yes(
    folder: Path,
    mosquitto_port: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    run(folder, mosquitto_port, "pub", "--retain", "kept/a", "-m", "x")
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    monkeypatch.setattr("builtins.input", lambda _question: "")
    run(folder, mosquitto_port, "clean", "kept/#")
    run(folder, mosquitto_port, "sub", "--last", "kept/#", "--raw")
    assert capsys.readouterr().out == "kept/a x\nkept/a x\n"


def test_topics_that_the_access_rules_keep_are_named(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, port = folder / "others.json", free_port()
    accounts.set_password(path, "kim", Role.VIEWER, PASSWORD)
    gate = AccountGate(path, PasswordCheck(time.monotonic), hub_token=None, allow_local=True)
    gate.may_publish = lambda _who, topic: topic.endswith("/buzzer")  # type: ignore[method-assign]
    with embedded_broker(port, gate):
        with Listener(port) as node:
            node.publish(Topic("pi4", TopicKind.BUZZER), encode(Buzzer(False, "")))
            node.wait_topic("harvester/pi4/buzzer")
        gate.may_publish = lambda _who, _topic: False  # type: ignore[method-assign]
        code, error = refused(capsys, folder, port, "clean", "--yes", "harvester/#")
    assert code == 1
    assert "still retained: harvester/pi4/buzzer: the broker's access rules do not" in error


@pytest.mark.parametrize("reader", ["interrupt", "closed pipe"])
def test_an_end_from_outside_is_quiet(folder: Path, open_broker: int, reader: str) -> None:
    command = words(folder, open_broker, "sub", "--raw")
    with subprocess.Popen(
        [sys.executable, "-m", "harvester.cli", *command],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=PROJECT,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        if reader == "interrupt":
            process.send_signal(signal.SIGINT)
        process.stdout.close()
        with Listener(open_broker, "harvester/pi7/#") as node:
            while process.poll() is None:
                node.publish(Topic("pi7", TopicKind.COMMAND, "fan"), b"auto")
                try:
                    process.wait(0.2)
                except subprocess.TimeoutExpired:
                    continue
        assert process.wait(WAIT_S) == 0
        assert process.stderr.read() == b""


@pytest.mark.parametrize("broker", ["open_broker", "mosquitto_port"])
def test_more_retained_topics_than_a_window_holds_are_all_found(
    folder: Path,
    request: pytest.FixtureRequest,
    capsys: pytest.CaptureFixture[str],
    broker: str,
) -> None:
    port: int = request.getfixturevalue(broker)
    topics = [f"harvester/many/readings/s{n}" for n in range(200)]
    with BusSession([(HOST, port)], None) as session:
        session.publish([WireMessage(topic, b"x" * 2000, retain=True) for topic in topics])
    run(folder, port, "sub", "--last", "--raw", "harvester/many/#")
    lines = capsys.readouterr().out.splitlines()
    assert sorted(line.split(" ")[0] for line in lines) == sorted(topics)
    run(folder, port, "clean", "--yes", "harvester/many/#")
    assert capsys.readouterr().out.endswith("removed 200 of 200\n")


def test_a_broker_that_is_away_is_passed_over_for_the_next_address(open_broker: int) -> None:
    topic = "harvester/pi4/status"
    with BusSession([(HOST, free_port()), (HOST, open_broker)], None) as session:
        session.subscribe([topic])
        session.publish([WireMessage(topic, b"{}")])
        assert next(session.messages(time.monotonic() + WAIT_S)).topic == topic


def test_a_login_over_tls_uses_the_hubs_certificate(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    state = tmp_path / "state"
    state.mkdir(mode=0o700)
    certificates.init(state / "tls", ["localhost"], dt.datetime.now(dt.UTC))
    secret = tmp_path / "password"
    secret.write_text(PASSWORD)
    secret.chmod(0o600)
    with hub_bus(state, broker__allow_local="false") as hub:
        accounts.set_password(hub.accounts, "kim", Role.OPERATOR, PASSWORD)
        where = [
            *("--config", "/dev/null", "--set", "cluster.role=hub"),
            *("--set", f"storage.state_dir={state}"),
            *("--broker", f"mqtts://localhost:{hub.tls_port}"),
        ]
        with pytest.raises(SystemExit) as caught:
            cli.main(["bus", "sub", *where])
        assert caught.value.code == 1
        error = capsys.readouterr().err
        assert "Not authorized; log in with --user NAME; on the hub, `harvester passwd" in error
        login = ["--user", "kim", "--password-file", str(secret)]
        cli.main(["bus", "pub", *where, *login, FAN, "-m", "auto"])
