import signal
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from bus.contract.description import About, SensorDescription
from bus.contract.messages import Heartbeat, Log, PluginState, Reading, Result, Status
from bus.contract.topics import Topic, TopicKind
from tests.pizero_native.conftest import PiZero
from tests.support import WAIT_S, Listener, Said, embedded_broker, free_port
from tests.triggered.clock import JUMP_S, TRIGGER

BME680 = "harvester/pizero/readings/bme680-0x76"


def logs(text: str) -> Callable[[Said], bool]:
    return lambda said: isinstance(said.message, Log) and text in said.message.message


def reading(listener: Listener, sensor_id: str) -> Reading:
    message = listener.wait_topic(f"harvester/pizero/readings/{sensor_id}").message
    assert isinstance(message, Reading)
    return message


@pytest.fixture(scope="module")
def service(
    listener: Listener, port: int, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[PiZero]:
    with PiZero(tmp_path_factory.mktemp("state"), port) as started:
        listener.wait_topic("harvester/pizero/heartbeat")
        yield started


def test_the_air_is_reported(service: PiZero, listener: Listener) -> None:
    data = reading(listener, "bme680-0x76").data
    assert 15 < data["temperature"] < 30
    assert 900 < data["pressure"] < 1100
    assert data["iaq_accuracy"] == 0
    assert "iaq_score" not in data  # there is none in burn-in


def test_own_health_is_this_machines(service: PiZero, listener: Listener) -> None:
    data = reading(listener, "pizero-monitor").data
    fields = {"cpu_temp", "cpu_usage", "memory_used_mb", "memory_total_mb", "uptime_seconds"}
    assert {"memory_used_mb", "memory_total_mb", "uptime_seconds"} <= data.keys() <= fields
    uptime_s = float(Path("/proc/uptime").read_text().split()[0])
    assert abs(uptime_s - data["uptime_seconds"]) < 60


def test_a_host_that_answers_is_up(service: PiZero, listener: Listener) -> None:
    data = reading(listener, "ping-here").data
    assert (data["host"], data["up"]) == ("127.0.0.1", True)
    assert 0 < data["rtt_ms"] < WAIT_S * 1000


def test_the_node_is_present(service: PiZero, listener: Listener) -> None:
    status = listener.wait_topic("harvester/pizero/status").message
    assert isinstance(status, Status)
    assert (status.state, status.role) == ("online", "spoke")


@pytest.mark.parametrize("actuator", ["buzzer", "leds", "siren"])
def test_a_command_is_refused_with_a_sentence_as_there_are_no_actuators(
    service: PiZero, listener: Listener, actuator: str
) -> None:
    listener.publish(
        Topic("pizero", TopicKind.COMMAND, actuator), b'{"pattern": "beep", "id": "7"}'
    )
    result = listener.wait_topic(f"harvester/pizero/{actuator}/result").message
    assert isinstance(result, Result)
    assert (result.ok, result.id, result.error) == (False, "7", f"pizero has no {actuator}")


@pytest.mark.parametrize(
    ("sensor_id", "plugin"),
    [("bme680-0x76", "bme680"), ("pizero-monitor", "pizero-monitor"), ("ping-here", "")],
)
def test_every_value_is_described(
    service: PiZero, listener: Listener, sensor_id: str, plugin: str
) -> None:
    said = listener.wait_topic(f"harvester/pizero/sensors/{sensor_id}").message
    assert isinstance(said, SensorDescription)
    assert (said.plugin, reading(listener, sensor_id).plugin) == (plugin, plugin)
    assert reading(listener, sensor_id).data.keys() <= said.fields.keys()
    assert all(field.label for field in said.fields.values())


def test_the_node_tells_of_itself(service: PiZero, listener: Listener) -> None:
    said = listener.wait_topic("harvester/pizero/about").message
    assert isinstance(said, About)
    assert said.actuators == {
        "names": ["sensor", "title", "area"],
        "plugins": ["set", "plugin", "action", "settings", "sensor"],
        "update": ["look", "action"],
    }
    assert {"harvester", "python"} <= said.versions.keys()


def test_a_sensor_is_named_by_command(service: PiZero, listener: Listener) -> None:
    listener.wait_topic("harvester/pizero/sensors/ping-here")
    command = Topic("pizero", TopicKind.COMMAND, "names")
    listener.publish(command, b'{"sensor": "ping-here", "title": "This machine", "id": "n"}')
    result = listener.wait_topic("harvester/pizero/names/result").message
    assert isinstance(result, Result)
    assert (result.ok, result.id) == (True, "n")
    listener.wait_for(
        lambda said: (
            isinstance(said.message, SensorDescription) and said.message.title == "This machine"
        )
    )


def order(listener: Listener, **command: object) -> Result:
    heard = len(listener.said)
    payload = msgspec.json.encode({"plugin": "bme680", "action": "set", **command})
    listener.publish(Topic("pizero", TopicKind.COMMAND, "plugins"), payload)
    result = listener.wait_topic("harvester/pizero/plugins/result", after=heard).message
    assert isinstance(result, Result)
    return result


def described(fits: Callable[[SensorDescription], bool]) -> Callable[[Said], bool]:
    return lambda said: (
        isinstance(said.message, SensorDescription)
        and said.topic.name == "bme680-0x76"
        and fits(said.message)
    )


def test_a_setting_holds_from_the_next_poll_on_and_its_description_follows(
    service: PiZero, listener: Listener
) -> None:
    listener.wait_topic(BME680)
    heard = len(listener.said)
    assert order(listener, settings={"altitude_m": 500, "poor_to": 250}).ok
    listener.wait_for(
        lambda said: isinstance(said.message, Reading) and "pressure_sea_level" in said.message.data
    )
    listener.wait_for(described(lambda it: "pressure_sea_level" in it.fields))
    listener.wait_for(
        lambda said: (
            isinstance(said.message, PluginState) and said.message.settings.get("poor_to") == 250
        )
    )
    listener.wait_for(described(lambda it: it.fields["iaq_score"].bands[3].to == 250))
    heard = len(listener.said)
    assert order(listener, settings={"altitude_m": None, "poor_to": None}).ok
    listener.wait_for(described(lambda it: "pressure_sea_level" not in it.fields), after=heard)


def test_a_bad_setting_is_refused_with_a_sentence(service: PiZero, listener: Listener) -> None:
    refused = order(listener, settings={"heater_ms": 5000}, sensor="bme680-0x76", id="7")
    assert (refused.ok, refused.id) == (False, "7")
    assert refused.error == "settings.heater_ms: found 5000, expected an integer from 20 to 300"


def test_settings_of_the_configuration_hold(tmp_path: Path, port: int) -> None:
    scenario = tmp_path / "scenario.toml"
    scenario.write_text("[air]\ntemperature_c = 21.5\nhumidity_pct = 45.0\n")
    own = '{"bme680-0x76" = {humidity_offset_pct = 2.0}}'
    with (
        Listener(port) as listener,
        PiZero(
            tmp_path,
            port,
            cluster__node_id="cellar",
            hardware__scenario=scenario,
            plugins__settings__bme680=f"{{temperature_offset_c = -1.5, sensors = {own}}}",
        ),
    ):
        said = listener.wait_topic("harvester/cellar/readings/bme680-0x76").message
    assert isinstance(said, Reading)
    assert said.data["temperature"] == pytest.approx(20.0, abs=0.1)
    assert said.data["humidity"] == pytest.approx(47.0, abs=0.3)


def test_a_bad_setting_of_the_configuration_is_one_line_and_exit_code_2(tmp_path: Path) -> None:
    keys = {"plugins__settings__bme680__heater_c": 500}
    with PiZero(tmp_path, free_port(), **keys) as service:
        assert service.process.wait(WAIT_S) == 2
        said = service.output()
    assert "plugins.settings.bme680.heater_c: found 500, expected a number from 200 to 400" in said
    assert "Traceback" not in said


def test_less_than_45_mb_are_resident(service: PiZero, listener: Listener) -> None:
    said = listener.wait_for(lambda s: isinstance(s.message, Heartbeat) and s.message.seq >= 2)
    assert isinstance(said.message, Heartbeat)
    assert said.message.rss_mb < 45


def test_health_over_http(service: PiZero) -> None:
    answer = service.get("/health")
    assert answer.status_code == 200
    health = answer.json()
    assert (health["status"], health["node"]) == ("ok", "pizero")
    assert health["sensors"] == ["bme680-0x76"]
    assert health["faults"] == {}


def test_logs_over_http(service: PiZero) -> None:
    [line] = service.get("/api/logs?limit=1").json()["logs"]
    assert line.keys() == {"timestamp_ms", "level", "source", "message"}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_to_stop_ends_it_cleanly(
    tmp_path: Path, port: int, number: signal.Signals
) -> None:
    node = number.name.lower()
    with (
        Listener(port) as listener,
        PiZero(tmp_path, port, cluster__node_id=node) as service,
    ):
        listener.wait_topic(f"harvester/{node}/readings/bme680-0x76")
        assert service.stop(number=number) == 0
        assert "Traceback" not in service.output()
        listener.wait_for(
            lambda said: (
                said.topic.node == node
                and isinstance(said.message, Status)
                and said.message.state == "offline"
            )
        )


def test_a_fault_is_said_when_it_begins_and_when_it_ends(tmp_path: Path) -> None:
    scenario = tmp_path / "scenario.toml"
    scenario.write_text(
        '[[faults]]\nkind = "unplugged"\ndevice = "bme680-0x76"\n'
        f"from_s = {JUMP_S}\nuntil_s = {2 * JUMP_S}\n"
    )
    port = free_port()
    with (
        embedded_broker(port),
        Listener(port) as listener,
        PiZero(
            tmp_path, port, program="tests.triggered.pizero", hardware__scenario=scenario
        ) as service,
    ):
        listener.wait_topic(BME680)
        service.process.send_signal(TRIGGER)
        listener.wait_for(logs("bme680-0x76: fault: "))
        health = service.get("/health").json()
        assert health["status"] == "degraded"
        assert list(health["faults"]) == ["bme680-0x76"]
        service.process.send_signal(TRIGGER)
        listener.wait_for(logs("bme680-0x76: works again after "))
        told = [said for said in listener.said if logs("bme680-0x76")(said)]
        assert len(told) == 2
        listener.wait_topic(BME680, after=len(listener.said))


def test_a_hub_that_comes_later_is_found(tmp_path: Path) -> None:
    port = free_port()
    service = PiZero(tmp_path, port)
    with service:
        assert service.get("/health").json()["bus_connected"] is False
        with embedded_broker(port), Listener(port) as listener:
            listener.wait_topic(BME680)
            assert service.stop() == 0


def test_a_wrong_scenario_is_one_line_and_exit_code_2(tmp_path: Path) -> None:
    with PiZero(tmp_path, free_port(), hardware__scenario="/no/such/file.toml") as service:
        assert service.process.wait(WAIT_S) == 2
        assert service.output().count("/no/such/file.toml") == 1


def test_a_bus_that_is_not_there_is_exit_code_2_and_says_what_to_do(tmp_path: Path) -> None:
    with PiZero(
        tmp_path,
        free_port(),
        simulate=False,
        hardware__driver="raspberry-pi",
        hardware__i2c_bus=31,
    ) as service:
        assert service.process.wait(WAIT_S) == 2
        said = service.output()
    assert "raspi-config" in said
    assert "Traceback" not in said


def test_nothing_heavy_is_imported() -> None:
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", "import pizero_native.service"],
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    roots = {name.partition(".")[0] for name in loaded}
    assert {"pizero_native", "bus", "paho"} <= roots
    assert not roots & {"broker", "wasmtime", "amqtt", "starlette", "uvicorn", "sse_starlette"}


def test_check_prints_what_takes_effect() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pizero_native.cli", "--config", "config/pizero.toml", "--check"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert 'node_id = "pizero"' in done.stdout
    assert tomllib.loads(done.stdout)["sensors"]["bme680_addresses"] == ["0x76"]


def test_the_roles_of_other_nodes_are_refused() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pizero_native.cli", "--set", "cluster.role=hub", "--check"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    [line] = done.stderr.splitlines()
    assert "cluster.role: found 'hub', expected \"spoke\" for pizero-native" in line
