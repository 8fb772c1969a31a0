import signal
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from broker.messages import Heartbeat, Log, Message, Reading, Status
from broker.topics import Kind, Topic
from tests.pizero_native.conftest import (
    WAIT_S,
    Listener,
    Service,
    embedded_broker,
    free_port,
)


def is_reading(sensor_id: str) -> Callable[[Topic, Message], bool]:
    return lambda topic, _: (topic.kind, topic.name) == (Kind.READING, sensor_id)


def says(text: str) -> Callable[[Topic, Message], bool]:
    return lambda _, message: isinstance(message, Log) and text in message.message


@pytest.fixture(scope="module")
def service(listener: Listener, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with Service(tmp_path_factory.mktemp("state"), listener.port) as started:
        listener.wait_for(lambda topic, _: topic.kind is Kind.HEARTBEAT)
        yield started


def test_the_air_is_reported(service: Service, listener: Listener) -> None:
    reading = listener.wait_for(is_reading("bme680-0x76"))
    assert isinstance(reading, Reading)
    assert 15 < reading.data["temperature"] < 30
    assert 900 < reading.data["pressure"] < 1100
    assert reading.data["iaq_accuracy"] == 0
    assert "iaq_score" not in reading.data  # there is none in burn-in


def test_own_health_is_this_machines(service: Service, listener: Listener) -> None:
    reading = listener.wait_for(is_reading("pizero-monitor"))
    assert isinstance(reading, Reading)
    fields = {"cpu_temp", "cpu_usage", "memory_used_mb", "memory_total_mb", "uptime_seconds"}
    assert {"memory_used_mb", "memory_total_mb", "uptime_seconds"} <= reading.data.keys() <= fields
    uptime_s = float(Path("/proc/uptime").read_text().split()[0])
    assert abs(uptime_s - reading.data["uptime_seconds"]) < 60


def test_a_host_that_answers_is_up(service: Service, listener: Listener) -> None:
    reading = listener.wait_for(is_reading("ping-here"))
    assert isinstance(reading, Reading)
    assert reading.data["host"] == "127.0.0.1"
    assert reading.data["up"] is True
    assert 0 < reading.data["rtt_ms"] < 1000


def test_the_node_is_present(service: Service, listener: Listener) -> None:
    status = listener.wait_for(lambda topic, _: topic.kind is Kind.STATUS)
    assert isinstance(status, Status)
    assert (status.state, status.role) == ("online", "spoke")


def test_less_than_45_mb_are_resident(service: Service, listener: Listener) -> None:
    beat = listener.wait_for(lambda _, m: isinstance(m, Heartbeat) and m.seq >= 2)
    assert isinstance(beat, Heartbeat)
    assert beat.rss_mb < 45


def test_health_over_http(service: Service) -> None:
    answer = httpx.get(f"http://127.0.0.1:{service.web_port}/health")
    assert answer.status_code == 200
    health = answer.json()
    assert (health["status"], health["node"]) == ("ok", "pizero")
    assert health["sensors"] == ["bme680-0x76"]
    assert health["faults"] == {}


def test_logs_over_http(service: Service) -> None:
    answer = httpx.get(f"http://127.0.0.1:{service.web_port}/api/logs?limit=1")
    [line] = answer.json()["logs"]
    assert line.keys() == {"timestamp_ms", "level", "source", "message"}


def test_sigterm_ends_it_cleanly(tmp_path: Path) -> None:
    port = free_port()
    with embedded_broker(port), Listener(port) as listener, Service(tmp_path, port) as service:
        listener.wait_for(is_reading("bme680-0x76"))
        asked_s = time.monotonic()
        service.process.send_signal(signal.SIGTERM)
        assert service.process.wait(WAIT_S) == 0
        assert time.monotonic() - asked_s < 3
        listener.wait_for(lambda _, m: isinstance(m, Status) and m.state == "offline")
        assert "Traceback" not in service.log.read_text()


def test_a_fault_is_said_when_it_begins_and_when_it_ends(tmp_path: Path) -> None:
    scenario = tmp_path / "scenario.toml"
    scenario.write_text(
        '[[faults]]\nkind = "unplugged"\ndevice = "bme680-0x76"\nfrom_s = 0.8\nuntil_s = 2.5\n'
    )
    port = free_port()
    with (
        embedded_broker(port),
        Listener(port) as listener,
        Service(tmp_path, port, f"hardware.scenario={scenario}") as service,
    ):
        listener.wait_for(says("bme680-0x76: fault: "))
        health = httpx.get(f"http://127.0.0.1:{service.web_port}/health").json()
        assert health["status"] == "degraded"
        assert list(health["faults"]) == ["bme680-0x76"]
        listener.wait_for(says("bme680-0x76: works again after "))
        told = [m for _, m in listener.said if isinstance(m, Log) and "bme680-0x76" in m.message]
        assert len(told) == 2
        before = len(listener.said)
        listener.wait_for(
            lambda topic, m: (
                is_reading("bme680-0x76")(topic, m) and (topic, m) in listener.said[before:]
            )
        )


def test_a_hub_that_comes_later_is_found(tmp_path: Path) -> None:
    port = free_port()
    with Service(tmp_path, port) as service:
        url = f"http://127.0.0.1:{service.web_port}/health"
        transport = httpx.HTTPTransport(retries=5)
        with httpx.Client(transport=transport) as client:
            assert client.get(url).json()["broker_connected"] is False
        with embedded_broker(port), Listener(port) as listener:
            listener.wait_for(is_reading("bme680-0x76"))


def test_a_wrong_scenario_is_one_line_and_exit_code_2(tmp_path: Path) -> None:
    with Service(tmp_path, free_port(), "hardware.scenario=/no/such/file.toml") as service:
        assert service.process.wait(WAIT_S) == 2
        assert service.log.read_text().count("/no/such/file.toml") == 1


def test_nothing_heavy_is_imported() -> None:
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", "import pizero_native.service"],
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    roots = {name.partition(".")[0] for name in loaded}
    assert {"pizero_native", "broker", "paho"} <= roots
    assert not roots & {"wasmtime", "amqtt", "starlette", "uvicorn", "sse_starlette"}


def test_check_prints_what_takes_effect() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pizero_native.cli", "--config", "config/pizero.toml", "--check"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert 'node_id = "pizero"' in done.stdout
    assert tomllib.loads(done.stdout)["sensors"]["bme680_addresses"] == ["0x76"]
