from pathlib import Path
from typing import Any

import pytest

from bus.config.settings import Config
from bus.install.hint import install_extra
from harvester.doctor import needs as doctor_needs
from harvester.doctor import system as doctor_system
from harvester.doctor.finding import Finding, State
from harvester.doctor.machine import this_machine
from harvester.doctor.needs import DHT22, GPIO, STRIP_BY_DMA, STRIP_BY_SPI, Role
from node_agent.hal.errors import HardwareNotInstalledError
from tests.harvester.doctor.fake_machine import FakePi, config

I2C = doctor_needs.i2c(config())
JOIN_I2C = "sudo usermod -aG i2c harvester"


@pytest.fixture
def pi(tmp_path: Path) -> FakePi:
    return FakePi(tmp_path)


def found(pi: FakePi, interface: doctor_needs.Interface) -> list[Finding]:
    return list(doctor_system.interface_findings(pi.machine(), interface))


def missing(pi: FakePi, interface: doctor_needs.Interface) -> dict[str, str]:
    """Return the mend of everything that is missing."""
    return {f.what: f.mend for f in found(pi, interface) if not f.is_well}


ALL = {
    "sensors": {"dht22_pins": [4], "bme680_addresses": ["0x77"]},
    "leds": {"count": 3, "pin": 18},
    "buzzer": {},
    "plugins": {"enabled": ["gps"], "grants": {"gps": {"uart": True, "spi": True}}},
}


@pytest.mark.parametrize(
    ("role", "tables", "libraries"),
    [
        ("spoke", {}, []),
        ("spoke", {"sensors": {"bme680_addresses": ["0x77"]}}, ["smbus2"]),
        ("spoke", {"hardware": {"ssd1306_addresses": ["0x3c"]}}, ["smbus2"]),
        (
            "spoke",
            {"plugins": {"enabled": ["sht31"], "grants": {"sht31": {"i2c": ["0x44"]}}}},
            ["smbus2"],
        ),
        ("spoke", {"plugins": {"grants": {"off": {"i2c": ["0x44"], "spi": True}}}}, []),
        ("spoke", {"fan": {}}, ["gpiod"]),
        ("spoke", {"plugins": {"enabled": ["a"], "grants": {"a": {"inputs": [17]}}}}, ["gpiod"]),
        (
            "spoke",
            {
                "plugins": {
                    "enabled": ["a"],
                    "grants": {"a": {"outputs": [{"pin": 22, "safe": "low"}]}},
                }
            },
            ["gpiod"],
        ),
        ("spoke", {"leds": {"count": 1, "pin": 10}}, ["rpi_ws281x"]),
        ("spoke", {"leds": {"count": 0, "pin": 18}}, []),
        (
            "spoke",
            ALL,
            ["smbus2", "spidev", "serial", "gpiod", "board", "adafruit_dht", "rpi_ws281x"],
        ),
        ("pizero", ALL, ["smbus2"]),
        ("pizero", {"buzzer": {}}, []),
        ("pizero", {"cluster": {"service": "plugin-host"}, "buzzer": {}}, ["gpiod"]),
        ("spoke", {"leds": {"count": 1, "pin": 10, "driver": "spi"}}, ["spidev"]),
        ("hub", {"leds": {"count": 1, "driver": "revpi"}}, []),
        ("spoke", {"sensors": {"dht22_pins": [4], "dht22_driver": "iio"}}, []),
    ],
)
def test_only_what_the_configuration_enables_is_needed(
    role: Role, tables: dict[str, Any], libraries: list[str]
) -> None:
    wanted = doctor_needs.interfaces(config(**tables), role)
    assert [name for interface in wanted for name in interface.libraries] == libraries


def test_a_machine_that_has_everything_is_well(pi: FakePi) -> None:
    wanted = doctor_needs.interfaces(config(**ALL), "spoke")
    findings = [finding for interface in wanted for finding in found(pi, interface)]
    assert len(findings) > 15
    assert [finding for finding in findings if not finding.is_well] == []


def test_a_device_is_named_with_its_owner_and_mode(pi: FakePi) -> None:
    (pi.root / "dev/i2c-1").chmod(0o660)
    assert found(pi, I2C)[0].found.endswith(" 0660, open to harvester")


@pytest.mark.parametrize(
    ("interface", "gone", "what", "mend"),
    [
        (I2C, "/dev/i2c-1", "device /dev/i2c-1", "sudo raspi-config nonint do_i2c 0"),
        (
            doctor_needs.spi(config()),
            "/dev/spidev0.0",
            "device /dev/spidev0.0",
            "sudo raspi-config nonint do_spi 0",
        ),
        (
            doctor_needs.uart(config()),
            "/dev/serial0",
            "device /dev/serial0",
            "sudo raspi-config nonint do_serial_hw 0",
        ),
        (
            STRIP_BY_DMA,
            "/dev/vcio",
            "device /dev/vcio",
            "sudo apt install linux-image-rpi-v8 && sudo reboot",
        ),
    ],
)
def test_a_missing_device_file_is_named_with_the_command_that_makes_it(
    pi: FakePi, interface: doctor_needs.Interface, gone: str, what: str, mend: str
) -> None:
    pi.take(gone)
    assert missing(pi, interface) == {what: mend}


def test_of_two_device_files_one_is_enough(pi: FakePi) -> None:
    pi.put("/dev/gpiochip4", "")
    pi.take("/dev/gpiochip0")
    assert missing(pi, GPIO) == {}
    pi.take("/dev/gpiochip4")
    assert list(missing(pi, GPIO)) == ["device /dev/gpiochip0 or /dev/gpiochip4"]


def test_of_two_device_files_one_that_is_open_is_enough(pi: FakePi) -> None:
    pi.put("/dev/gpiochip4", "")
    pi.closed = {"/dev/gpiochip0"}
    assert missing(pi, DHT22) == {}
    pi.closed = {"/dev/gpiochip0", "/dev/gpiochip4"}
    assert missing(pi, DHT22) == {"device /dev/gpiochip0": "sudo usermod -aG gpio harvester"}


def test_a_user_outside_the_group_is_told_how_to_join(pi: FakePi) -> None:
    pi.groups.remove("i2c")
    pi.closed = {"/dev/i2c-1"}
    assert missing(pi, I2C) == {"device /dev/i2c-1": JOIN_I2C, "group i2c": JOIN_I2C}


def test_a_user_who_joined_after_logging_in_has_to_log_in_again(pi: FakePi) -> None:
    pi.groups.remove("gpio")
    assert doctor_system.group(pi.machine(user="pi"), "gpio").mend == "log in again"


def test_a_group_that_does_not_exist_is_made(pi: FakePi) -> None:
    mend = doctor_system.group(pi.machine(), "audio").mend
    assert mend == "sudo groupadd --system audio && sudo usermod -aG audio harvester"


def test_root_needs_no_group(pi: FakePi) -> None:
    assert doctor_system.group(pi.machine(uid=0, groups=frozenset()), "i2c").is_well


def test_raw_memory_wants_root_rather_than_a_group(pi: FakePi) -> None:
    pi.closed = {"/dev/mem", "/dev/vcio"}
    mends = missing(pi, STRIP_BY_DMA)
    assert list(mends) == ["device /dev/mem", "device /dev/vcio"]
    assert all("harvester-agent-pwm.conf" in mend for mend in mends.values())


def test_a_module_is_loaded_or_built_in_or_missing(pi: FakePi) -> None:
    machine = pi.machine()
    assert doctor_system.module(machine, "i2c_dev", I2C).found == "loaded"
    assert doctor_system.module(machine, "spidev", STRIP_BY_SPI).found == "loaded"
    pi.take("/sys/module/i2c_dev")
    assert doctor_system.module(machine, "i2c_dev", I2C).found == "built into the kernel"
    pi.take("/dev/i2c-1", "/proc/modules")
    assert doctor_system.module(machine, "i2c_dev", I2C).mend == "sudo modprobe i2c-dev"


def test_a_missing_library_is_installed_into_the_environment_that_lacks_it(pi: FakePi) -> None:
    pi.lacks("smbus2")
    expected = install_extra("pi", "sudo /opt/harvester/.venv/bin/pip")
    assert missing(pi, I2C) == {"library smbus2": expected}


@pytest.mark.parametrize(
    "error",
    [
        HardwareNotInstalledError("the library RPi.GPIO does not run here: no Raspberry Pi"),
        PermissionError(13, "Permission denied"),
    ],
)
def test_a_library_that_refuses_the_machine_says_why(pi: FakePi, error: Exception) -> None:
    pi.libraries["RPi.GPIO"] = error
    finding = doctor_system.library(pi.machine(), "RPi.GPIO")
    assert not finding.is_well
    assert str(error) in finding.found


def special(pi: FakePi, settings: Config) -> dict[str, str]:
    wanted = doctor_needs.interfaces(settings, "spoke")
    findings = doctor_system.special_findings(pi.machine(), settings, wanted)
    return {finding.what: finding.mend for finding in findings}


GPS = {"plugins": {"enabled": ["gps"], "grants": {"gps": {"uart": True}}}}


@pytest.mark.parametrize("console", ["serial0", "ttyS0"])
def test_a_login_prompt_on_the_sensors_line_is_noticed(pi: FakePi, console: str) -> None:
    pi.take("/dev/serial0")
    pi.put("/dev/ttyS0", "")
    (pi.root / "dev/serial0").symlink_to("ttyS0")
    assert special(pi, config(**GPS)) == {}
    pi.put("/proc/cmdline", f"console={console},115200 console=tty1 rootwait\n")
    mend = "sudo raspi-config nonint do_serial_cons 1 && sudo reboot"
    assert special(pi, config(**GPS)) == {"uart /dev/serial0": mend}
    assert special(pi, config()) == {}


def test_the_headphone_jack_takes_the_strips_pwm_but_not_its_spi(pi: FakePi) -> None:
    pi.put("/proc/modules", "snd_bcm2835 24576 0 - Live 0x0\n")
    [(what, mend)] = special(pi, config(leds={"count": 1, "pin": 18})).items()
    assert what == "strip gpio18"
    assert "dtparam=audio=off" in mend
    assert special(pi, config(leds={"count": 1, "pin": 10})) == {}


def test_pins_work_with_rpi_gpio_where_gpiod_is_missing(pi: FakePi) -> None:
    pi.lacks("gpiod")
    assert missing(pi, GPIO) == {}
    pi.lacks("RPi.GPIO")
    assert list(missing(pi, GPIO)) == ["library gpiod"]


def test_the_raw_memory_of_a_pi_zero_is_opened_to_its_own_unit() -> None:
    leds = {"count": 1, "pin": 18}
    tables = {"cluster": {"service": "plugin-host"}, "leds": leds}
    [interface] = doctor_needs.interfaces(config(**tables), "pizero")
    assert interface.open_up.endswith("/harvester-pizero.service.d/pwm.conf")


def test_this_machine_can_be_described() -> None:
    machine = this_machine({})
    assert machine.user
    assert machine.groups
    assert machine.may_use(Path("/dev/null"))
    assert not machine.may_use(Path("/dev/no-such-device"))


def test_a_kernel_that_ignores_memory_limits_is_told_what_to_do(pi: FakePi) -> None:
    pi.put("/sys/fs/cgroup/cgroup.controllers", "cpuset cpu io pids\n")
    found = doctor_system.memory_limit(pi.machine())
    assert not found.is_well
    assert found.found == "the kernel ignores the MemoryMax of the units"
    assert "cgroup_enable=memory cgroup_memory=1" in found.mend
    assert "/boot/firmware/cmdline.txt" in found.mend


def test_a_kernel_that_counts_memory_keeps_the_limits(pi: FakePi) -> None:
    assert doctor_system.memory_limit(pi.machine()).is_well


def test_a_machine_without_unified_control_groups_is_passed_over(pi: FakePi) -> None:
    pi.take("/sys/fs/cgroup/cgroup.controllers")
    assert doctor_system.memory_limit(pi.machine()).state is State.SKIPPED
