"""The hub as a process: start, orderly end, and refusal of a wrong configuration."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.http_client import get
from tests.hub_app.conftest import HubProcess, running_hub
from tests.hub_app.samples import reading
from tests.support import HOST, WAIT_S, Listener, Service, free_port, settings, wait_until_listening

# As much as one reading may carry, nearly.
PADDING = {f"padding{n}": "x" * 250 for n in range(55)}


def open_stream(hub: HubProcess) -> socket.socket:
    """Open an event stream and read nothing of it."""
    stream = socket.create_connection((HOST, hub.web_port))
    stream.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
    stream.sendall(b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n")
    return stream


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_hub_with_open_streams_stops_at_once_and_in_order(
    tmp_path: Path, number: signal.Signals
) -> None:
    with running_hub(tmp_path) as hub:
        streams = [open_stream(hub) for _ in range(5)]
        for stream in streams:
            assert stream.recv(1024)
        assert hub.service.stop(number=number) == 0
        for stream in streams:
            stream.close()
        assert "Traceback" not in hub.service.output()
        # uvicorn logs an error when the time for an orderly end is exceeded.
        assert "ERROR" not in hub.service.output()


def test_a_browser_that_reads_nothing_does_not_delay_the_end_of_the_hub(tmp_path: Path) -> None:
    with running_hub(tmp_path) as hub, open_stream(hub):
        for seq in range(300):
            topic, message = reading(seq=seq, **PADDING)
            hub.publish(topic, message)
        assert hub.service.stop() == 0
        assert "Traceback" not in hub.service.output()
        assert "ERROR" not in hub.service.output()


def test_a_browser_that_was_slow_sees_the_newest_value(tmp_path: Path) -> None:
    sent = 400
    with running_hub(tmp_path) as hub, open_stream(hub) as stream:
        for seq in range(sent):
            hub.publish(*reading(seq=seq, count=seq, **PADDING))
        stream.settimeout(WAIT_S)
        received = b""
        while b'"count":%d,' % (sent - 1) not in received[-50_000:]:
            chunk = stream.recv(1_000_000)
            assert chunk, "the hub cut the stream off"
            received += chunk
        assert received.count(b"event: update") < sent


@pytest.mark.parametrize(("taken", "other"), [("web", "broker"), ("broker", "web")])
def test_a_port_in_use_is_waited_for(taken: str, other: str, tmp_path: Path) -> None:
    ports = {taken: free_port(), other: free_port()}
    with occupied(ports[taken]), embedding_hub(tmp_path, ports) as hub:
        line = wait_for_line(hub, f"{taken}.port: cannot listen on {HOST}:{ports[taken]}: ")
        assert line.endswith("it is tried again until it works")
        assert hub.process.poll() is None
        if taken == "web":
            wait_until_listening(ports["broker"])
    with embedding_hub(tmp_path, ports) as hub:
        wait_until_healthy(ports["web"])
        assert hub.stop() == 0


@pytest.mark.parametrize("taken", ["web", "broker"])
def test_the_hub_comes_up_once_the_port_is_free(taken: str, tmp_path: Path) -> None:
    ports = {"web": free_port(), "broker": free_port()}
    with embedding_hub_beside(ports[taken], tmp_path, ports) as hub:
        wait_until_healthy(ports["web"])
        assert hub.output().count("cannot listen") == 1
        assert "works again" in hub.output()
        assert hub.stop() == 0
        assert "Traceback" not in hub.output()


def test_a_hub_that_waits_for_a_port_stops_in_order(tmp_path: Path) -> None:
    ports = {"web": free_port(), "broker": free_port()}
    with occupied(ports["web"]), embedding_hub(tmp_path, ports) as hub:
        wait_for_line(hub, "web.port: cannot listen")
        assert hub.stop() == 0
        assert "Traceback" not in hub.output()


def test_an_address_that_is_not_there_yet_leaves_the_hub_degraded(tmp_path: Path) -> None:
    ports = {"web": free_port(), "broker": free_port()}
    with embedding_hub(tmp_path, ports, broker__listen="192.0.2.1") as hub:
        wait_for_line(hub, "broker.listen: cannot listen on 192.0.2.1")
        told = wait_until_connected(ports["web"])
        assert told["status"] == "degraded"
        assert told["faults"] == [f"the broker cannot listen on 192.0.2.1:{ports['broker']} yet"]
        assert hub.stop() == 0


@pytest.mark.parametrize("key", ["web.listen", "broker.listen"])
def test_an_address_that_is_none_is_one_line_and_exit_code_2(key: str, tmp_path: Path) -> None:
    ports = {"web": free_port(), "broker": free_port()}
    with embedding_hub(tmp_path, ports, **{key.replace(".", "__"): "no such address"}) as hub:
        assert hub.process.wait(WAIT_S) == 2
        last = hub.output().strip().splitlines()[-1]
        assert "no such address" in last
        assert last.startswith((f"{key}: ", f"{key.partition('.')[0]}.port: "))
        assert "Traceback" not in hub.output()


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
        'cluster.role: found \'spoke\', expected "hub" or "fleet" for hub-app\n',
    )


def test_without_the_plugin_the_page_names_the_fault(tmp_path: Path) -> None:
    with running_hub(tmp_path, has_plugin=False) as hub:
        answer = hub.http.get("/")
        assert answer.status_code == 503
        assert "dashboard.bundle is not there" in answer.text
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
        storage__state_dir=tmp_path / "state",
    )
    with Service(
        "tests.hub_app.hub_process", ["--config", str(config), *arguments], tmp_path / "log"
    ) as service:
        wait_until_listening(port)
        answer = get(f"http://{HOST}:{port}/health")
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
            body = get(url).json()
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


@contextlib.contextmanager
def occupied(port: int) -> Iterator[None]:
    with socket.create_server((HOST, port)):
        yield


@contextlib.contextmanager
def embedding_hub(directory: Path, ports: dict[str, int], **keys: object) -> Iterator[Service]:
    """Run a hub with its own broker on those ports."""
    config = directory / "hub.toml"
    config.write_text("")
    arguments = settings(
        **{
            "cluster__role": "hub",
            "web__listen": HOST,
            "web__port": ports["web"],
            "broker__listen": HOST,
            "broker__port": ports["broker"],
            "plugins__directory": directory,
            "storage__state_dir": directory / "state",
            **keys,
        }
    )
    with Service(
        "tests.hub_app.hub_process", ["--config", str(config), *arguments], directory / "log"
    ) as hub:
        yield hub


@contextlib.contextmanager
def embedding_hub_beside(taken: int, directory: Path, ports: dict[str, int]) -> Iterator[Service]:
    """Run a hub while another program has the port `taken`, which it gives up then."""
    with contextlib.ExitStack() as stack:
        with occupied(taken):
            hub = stack.enter_context(embedding_hub(directory, ports))
            wait_for_line(hub, "cannot listen")
        yield hub


def wait_for_line(hub: Service, part: str) -> str:
    """Return the first line of the hub's output with `part` in it, as soon as there is one."""
    waiting = threading.Event()
    for _ in range(int(WAIT_S / 0.02)):
        for line in hub.output().splitlines():
            if part in line:
                return line
        waiting.wait(0.02)
    pytest.fail(f"{part!r} is not in:\n{hub.output()}")


def wait_until_connected(port: int) -> dict[str, Any]:
    """Return what `/health` says as soon as the hub is on its bus."""
    waiting = threading.Event()
    for _ in range(int(WAIT_S / 0.02)):
        with contextlib.suppress(httpx.TransportError):
            told: dict[str, Any] = get(f"http://{HOST}:{port}/health").json()
            if told["bus_connected"]:
                return told
        waiting.wait(0.02)
    pytest.fail("the hub did not get onto its bus")


def wait_until_healthy(port: int) -> None:
    assert wait_until_connected(port)["status"] == "ok"
