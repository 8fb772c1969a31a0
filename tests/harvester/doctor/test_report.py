"""`harvester doctor` as a person runs it."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from harvester.doctor import report as doctor
from harvester.doctor.finding import missing, ok, rendered, skipped
from tests.harvester.doctor.fake_machine import FakePi, config, lines
from tests.support import HOST, PROJECT, WAIT_S, embedded_broker, free_port, settings

DOCTOR = [str(Path(sys.executable).parent / "harvester"), "doctor"]


@pytest.fixture(scope="module")
def mqtt_port() -> Iterator[int]:
    port = free_port()
    with embedded_broker(port):
        yield port


class Directory(msgspec.Struct, frozen=True):
    """A node's folder with components in it, and what a doctor is told about it."""

    path: Path
    mqtt_port: int

    def examine(self, role: str, *more: str) -> "subprocess.CompletedProcess[str]":
        file = PROJECT / "config" / f"{role}.toml"
        keys = settings(
            plugins__directory=self.path / "plugins",
            storage__cache_dir=self.path / "cache",
            broker__url=f"mqtt://{HOST}:{self.mqtt_port}",
        )
        return subprocess.run(
            [*DOCTOR, "--role", role, "--config", str(file), *keys, *more],
            capture_output=True,
            text=True,
            check=False,
            timeout=WAIT_S,
        )


@pytest.fixture
def node(tmp_path: Path, mqtt_port: int) -> Directory:
    for name in ("dht22", "bme680", "pi4-monitor", "oled", "revpi-monitor", "dashboard"):
        wasm = tmp_path / "plugins" / name / f"{name}.wasm"
        wasm.parent.mkdir(parents=True)
        wasm.write_bytes(b"\0asm")
    return Directory(tmp_path, mqtt_port)


@pytest.mark.parametrize("role", ["hub", "spoke", "pizero"])
def test_a_simulated_node_that_has_all_is_well(node: Directory, role: str) -> None:
    done = node.examine(role, "--simulate")
    assert (done.returncode, done.stderr) == (0, "")
    assert "skipped  devices " in done.stdout
    assert done.stdout.endswith("\n\nall is well\n")


def test_a_plugin_that_is_not_built_is_one_line_and_exit_code_1(node: Directory) -> None:
    (node.path / "plugins" / "oled" / "oled.wasm").unlink()
    done = node.examine("spoke", "--simulate")
    assert done.returncode == 1
    [line] = [line for line in done.stdout.splitlines() if line.startswith("MISSING")]
    assert line.split()[:3] == ["MISSING", "plugin", "oled"]
    assert line.endswith("plugins pack oled")


def test_a_wrong_chip_is_found_through_the_simulated_bus(node: Directory) -> None:
    scenario = node.path / "wrong.toml"
    scenario.write_text('faults = [{kind = "wrong-id", device = "bme680"}]\n')
    done = node.examine("spoke", "--simulate", "--set", f"hardware.scenario={scenario}")
    assert done.returncode == 1
    assert "MISSING  bme680 i2c-1 0x77" in done.stdout
    assert "id 0x60, expected 0x61" in done.stdout


@pytest.mark.parametrize("key", ["buzzer.pin=99", "hardware.scenario=/no/such/file.toml"])
def test_a_wrong_configuration_is_one_line_and_exit_code_2(node: Directory, key: str) -> None:
    done = node.examine("spoke", "--simulate", "--set", key)
    assert (done.returncode, done.stdout) == (2, "")
    assert len(done.stderr.splitlines()) == 1


def test_a_machine_that_is_no_pi_lacks_what_a_pi_has(node: Directory) -> None:
    done = node.examine("spoke", *settings(hardware__i2c_bus=31, leds__pin=10))
    assert done.returncode == 1
    assert "MISSING  device /dev/i2c-31" in done.stdout
    assert "mend: sudo raspi-config nonint do_i2c 0" in done.stdout
    assert "MISSING  bme680 i2c-31 0x77" in done.stdout


def test_the_role_chooses_the_projects_configuration() -> None:
    done = subprocess.run(
        [*DOCTOR, "--role", "pizero", "--check"],
        capture_output=True,
        text=True,
        check=True,
        cwd=PROJECT,
    )
    assert 'node_id = "pizero"' in done.stdout


def test_a_pi_is_examined_from_its_devices_to_its_broker(tmp_path: Path, mqtt_port: int) -> None:
    found = doctor.examine(
        config(
            broker={"url": f"mqtt://{HOST}:{mqtt_port}"},
            buzzer={},
            plugins={"enabled": ["gps"], "grants": {"gps": {"uart": True}}},
        ),
        "spoke",
        FakePi(tmp_path).machine(environment={"CACHE_DIRECTORY": str(tmp_path)}),
    )
    assert lines(found) == [
        ("ok", "device /dev/serial0"),
        ("ok", "group dialout"),
        ("ok", "library serial"),
        ("ok", "device /dev/gpiochip0"),
        ("ok", "group gpio"),
        ("ok", "library gpiod"),
        ("ok", "memory limit"),
        ("MISSING", "plugin gps"),
        ("ok", "cache"),
        ("ok", f"broker {HOST}:{mqtt_port}"),
    ]


def test_what_two_devices_need_is_said_once(tmp_path: Path, mqtt_port: int) -> None:
    tables = {"buzzer": {}, "sensors": {"dht22_pins": [4]}}
    url = {"url": f"mqtt://{HOST}:{mqtt_port}"}
    found = doctor.examine(config(broker=url, **tables), "spoke", FakePi(tmp_path).machine())
    whats = [finding.what for finding in found]
    assert len(whats) == len(set(whats))


def test_lines_are_aligned_and_a_long_one_pushes_only_its_own_command() -> None:
    text = rendered(
        [
            ok("cache", "mine"),
            missing("group i2c", "absent", "join"),
            missing("broker", "x" * 60, "start"),
            skipped("devices", "simulated"),
        ]
    )
    assert text.splitlines() == [
        "ok       cache      mine",
        f"MISSING  group i2c  {'absent':<48}  mend: join",
        f"MISSING  broker     {'x' * 60}  mend: start",
        "skipped  devices    simulated",
    ]
    assert rendered([]) == ""
