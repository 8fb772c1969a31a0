"""The hub as a process: start, orderly end, and refusal of a wrong configuration."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests.hub_app.conftest import HubProcess, running_hub
from tests.hub_app.samples import reading
from tests.support import HOST, WAIT_S, Listener, Service, free_port, settings, wait_until_listening


def open_stream(hub: HubProcess) -> socket.socket:
    """Open an event stream and read nothing of it."""
    stream = socket.create_connection((HOST, hub.web_port))
    stream.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
    stream.sendall(b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n")
    return stream


def test_a_hub_with_open_streams_stops_at_once_and_in_order(tmp_path: Path) -> None:
    with running_hub(tmp_path) as hub:
        streams = [open_stream(hub) for _ in range(5)]
        for stream in streams:
            assert stream.recv(1024)
        assert hub.service.stop() == 0
        for stream in streams:
            stream.close()
        assert "Traceback" not in hub.service.output()
        # uvicorn logs an error when the time for an orderly end is exceeded.
        assert "ERROR" not in hub.service.output()


def test_a_browser_that_reads_nothing_does_not_delay_the_end_of_the_hub(tmp_path: Path) -> None:
    with running_hub(tmp_path) as hub, open_stream(hub):
        for seq in range(300):
            topic, message = reading(seq=seq, padding="x" * 20_000)
            hub.publish(topic, message)
        assert hub.service.stop() == 0
        assert "Traceback" not in hub.service.output()
        assert "ERROR" not in hub.service.output()


def test_a_browser_that_was_slow_sees_the_newest_value(tmp_path: Path) -> None:
    sent = 400
    with running_hub(tmp_path) as hub, open_stream(hub) as stream:
        for seq in range(sent):
            hub.publish(*reading(seq=seq, count=seq, padding="x" * 20_000))
        stream.settimeout(WAIT_S)
        received = b""
        while b'"count":%d,' % (sent - 1) not in received[-50_000:]:
            chunk = stream.recv(1_000_000)
            assert chunk, "the hub cut the stream off"
            received += chunk
        assert received.count(b"event: update") < sent


@pytest.mark.parametrize(("taken", "other"), [("web", "broker"), ("broker", "web")])
def test_a_port_in_use_is_one_line_and_exit_code_2(taken: str, other: str, tmp_path: Path) -> None:
    config = tmp_path / "hub.toml"
    config.write_text('[cluster]\nrole = "hub"\n')
    with socket.socket() as occupied:
        occupied.bind((HOST, 0))
        occupied.listen()
        port = occupied.getsockname()[1]
        ports = {f"{taken}__port": port, f"{other}__port": free_port()}
        ended = subprocess.run(
            [
                *(sys.executable, "-m", "hub_app.cli", "--config", str(config)),
                *settings(web__listen=HOST, broker__listen=HOST, **ports),
            ],
            capture_output=True,
            text=True,
            timeout=WAIT_S,
            check=False,
        )
    assert ended.returncode == 2
    last = ended.stderr.strip().splitlines()[-1]
    assert last.startswith(f"{taken}.port: ")
    assert str(port) in last
    assert "Traceback" not in ended.stderr


def test_a_spokes_configuration_is_refused(tmp_path: Path) -> None:
    config = tmp_path / "spoke.toml"
    config.write_text('[broker]\nurl = "mqtt://127.0.0.1"\n')
    ended = subprocess.run(
        [sys.executable, "-m", "hub_app.cli", "--config", str(config)],
        capture_output=True,
        text=True,
        timeout=WAIT_S,
        check=False,
    )
    assert (ended.returncode, ended.stderr) == (
        2,
        "cluster.role: found 'spoke', expected \"hub\" for hub-app\n",
    )


def test_without_the_plugin_the_page_names_the_fault(tmp_path: Path) -> None:
    with running_hub(tmp_path, has_plugin=False) as hub:
        answer = hub.http.get("/")
        assert answer.status_code == 503
        assert "dashboard.wasm is not there" in answer.text
        assert hub.http.get("/health").status_code == 200


def test_without_a_bus_health_and_commands_say_so(tmp_path: Path) -> None:
    config = tmp_path / "hub.toml"
    config.write_text("")
    port = free_port()
    arguments = settings(
        cluster__role="hub",
        web__listen=HOST,
        web__port=port,
        broker__url=f"mqtt://{HOST}:{free_port()}",
        plugins__directory=tmp_path,
    )
    with Service(
        "tests.hub_app.hub_process", ["--config", str(config), *arguments], tmp_path / "log"
    ) as service:
        wait_until_listening(port)
        answer = httpx.get(f"http://{HOST}:{port}/health", trust_env=False)
        assert (answer.status_code, answer.json()["bus_connected"]) == (503, False)
        assert answer.json()["status"] == "degraded"
        assert service.stop() == 0


def test_limits_and_counters_of_the_embedded_broker_are_published(tmp_path: Path) -> None:
    ports = {"web__port": free_port(), "broker__port": free_port(), "broker__in_flight": 7}
    with Service(
        "tests.hub_app.hub_process",
        [
            *("--config", os.devnull),
            *settings(
                cluster__role="hub",
                web__listen=HOST,
                broker__listen=HOST,
                storage__state_dir=tmp_path,
                **ports,
            ),
        ],
        tmp_path / "log",
    ) as service:
        wait_until_listening(ports["web__port"])
        url = f"http://{HOST}:{ports['web__port']}/api/broker"
        with Listener(ports["broker__port"], "$SYS/broker/limits/in_flight"):
            body = httpx.get(url, trust_env=False).json()
        assert body["embedded"] is True
        assert (body["host"], body["port"]) == ("127.0.0.1", ports["broker__port"])
        assert body["limits"]["in_flight"] == 7
        assert body["clients"]["connected"] >= 1
        assert body["refused"]["login"] == 0
        assert service.stop() == 0


def test_a_foreign_broker_is_named(tmp_path: Path) -> None:
    with running_hub(tmp_path) as hub:
        host, port = hub.bus_address
        assert hub.http.get("/api/broker").json() == {
            "embedded": False,
            "connected": True,
            "host": host,
            "port": port,
        }
