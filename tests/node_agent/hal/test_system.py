import os
from pathlib import Path

import pytest

from node_agent.hal import system

MEMINFO = """MemTotal:         946564 kB
MemFree:          512000 kB
MemAvailable:     704900 kB
HugePages_Total:       0
"""


def put(root: Path, name: str, text: str) -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def put_zone(root: Path, number: int, kind: str, temp: str) -> None:
    zone = f"sys/class/thermal/thermal_zone{number}"
    put(root, f"{zone}/type", f"{kind}\n")
    put(root, f"{zone}/temp", temp)


def put_stat(root: Path, ticks: str) -> None:
    put(root, "proc/stat", f"cpu  {ticks}\ncpu0 {ticks}\nintr 1\n")


def test_the_cpus_zone_is_preferred_to_others(tmp_path: Path) -> None:
    put_zone(tmp_path, 0, "iwlwifi_1", "41000\n")
    put_zone(tmp_path, 1, "cpu-thermal", "52616\n")
    assert system.cpu_temperature_c(tmp_path) == 52.616


def test_below_zero_is_a_temperature_too(tmp_path: Path) -> None:
    put_zone(tmp_path, 0, "cpu-thermal", "-4500\n")
    assert system.cpu_temperature_c(tmp_path) == -4.5


def test_a_machine_without_a_thermometer_has_no_temperature(tmp_path: Path) -> None:
    assert system.cpu_temperature_c(tmp_path) is None


def test_a_zone_that_cannot_be_read_is_passed_over(tmp_path: Path) -> None:
    put_zone(tmp_path, 0, "cpu-thermal", "")
    (tmp_path / "sys/class/thermal/thermal_zone1").mkdir()
    assert system.cpu_temperature_c(tmp_path) is None
    put_zone(tmp_path, 2, "acpitz", "30000\n")
    assert system.cpu_temperature_c(tmp_path) == 30.0


def test_used_memory_is_what_is_not_available(tmp_path: Path) -> None:
    put(tmp_path, "proc/meminfo", MEMINFO)
    assert system.memory_mb(tmp_path) == (236, 924)


def test_uptime_and_resident_memory_are_read(tmp_path: Path) -> None:
    put(tmp_path, "proc/uptime", "1563.27 3009.38\n")
    put(tmp_path, "proc/self/statm", "7650 4340 406 5 0 123 0\n")
    assert system.uptime_s(tmp_path) == 1563.27
    expected_mb = 4340 * os.sysconf("SC_PAGE_SIZE") / 1024 / 1024
    assert system.rss_mb(tmp_path) == pytest.approx(expected_mb)


def test_cpu_usage_is_that_of_the_interval_since_it_was_last_asked(tmp_path: Path) -> None:
    put_stat(tmp_path, "100 0 100 700 100 0 0 0 0 0")
    usage = system.CpuUsage(tmp_path)
    put_stat(tmp_path, "125 0 105 760 110 0 0 0 0 0")
    assert usage.percent() == pytest.approx(30.0)
    put_stat(tmp_path, "125 0 105 860 110 0 0 0 0 0")
    assert usage.percent() == 0.0


def test_guest_time_is_not_counted_twice(tmp_path: Path) -> None:
    put_stat(tmp_path, "0 0 0 0 0 0 0 0 0 0")
    usage = system.CpuUsage(tmp_path)
    put_stat(tmp_path, "50 0 0 50 0 0 0 0 50 0")
    assert usage.percent() == 50.0


def test_cpu_usage_is_unknown_where_no_time_has_passed(tmp_path: Path) -> None:
    put_stat(tmp_path, "100 0 100 700 100 0 0 0 0 0")
    assert system.CpuUsage(tmp_path).percent() is None


def test_this_machine_answers() -> None:
    memory_mb = system.memory_mb()
    assert memory_mb is not None
    used_mb, total_mb = memory_mb
    assert 0 < used_mb < total_mb
    assert system.uptime_s() > 0
    assert 5 < system.rss_mb() < 2000
    usage = system.CpuUsage().percent()
    assert usage is None or 0 <= usage <= 100


@pytest.mark.parametrize("kind", ["iwlwifi_1", "gpu-thermal", "BAT0", "nvme", "pch_cannonlake"])
def test_a_zone_that_is_no_cpu_does_not_stand_in_for_one(tmp_path: Path, kind: str) -> None:
    put_zone(tmp_path, 0, kind, "33000\n")
    assert system.cpu_temperature_c(tmp_path) is None


@pytest.mark.parametrize("kind", ["cpu0-thermal", "cpuss-2", "soc_thermal", "bcm2835_thermal"])
def test_a_cpu_zone_is_found_by_any_of_its_names(tmp_path: Path, kind: str) -> None:
    put_zone(tmp_path, 0, kind, "33000\n")
    assert system.cpu_temperature_c(tmp_path) == 33.0


@pytest.mark.parametrize("temp", ["-273200\n", "-274000\n", "2147483647\n", "none\n"])
def test_a_cpu_zone_without_a_valid_value_is_passed_over(tmp_path: Path, temp: str) -> None:
    put_zone(tmp_path, 0, "cpu-thermal", temp)
    assert system.cpu_temperature_c(tmp_path) is None
    put_zone(tmp_path, 1, "soc-thermal", "41000\n")
    assert system.cpu_temperature_c(tmp_path) == 41.0


@pytest.mark.parametrize(
    "meminfo",
    [
        "MemTotal: 946564 kB\nMemFree: 512000 kB\n",
        "MemTotal: 0 kB\nMemAvailable: 0 kB\n",
        "MemTotal: 1000 kB\nMemAvailable: 2000 kB\n",
        "MemTotal:\n",
        "",
    ],
)
def test_memory_that_the_kernel_does_not_give_is_absent(tmp_path: Path, meminfo: str) -> None:
    put(tmp_path, "proc/meminfo", meminfo)
    assert system.memory_mb(tmp_path) is None


@pytest.mark.parametrize("odd", ["HugePages:", "DirectMap4k: none", "Name: \ufffd kB", "a:b:c"])
def test_another_odd_line_does_not_hide_the_memory(tmp_path: Path, odd: str) -> None:
    put(tmp_path, "proc/meminfo", f"{odd}\n{MEMINFO}{odd}\n")
    assert system.memory_mb(tmp_path) == (236, 924)


def test_a_zone_whose_type_is_no_text_is_passed_over(tmp_path: Path) -> None:
    put_zone(tmp_path, 0, "", "33000\n")
    (tmp_path / "sys/class/thermal/thermal_zone0/type").write_bytes(b"\xff\xfe")
    put_zone(tmp_path, 1, "cpu-thermal", "41000\n")
    assert system.cpu_temperature_c(tmp_path) == 41.0


def test_waiting_time_that_steps_back_is_no_load_beyond_the_whole(tmp_path: Path) -> None:
    put_stat(tmp_path, "100 0 100 700 100 0 0 0 0 0")
    usage = system.CpuUsage(tmp_path)
    put_stat(tmp_path, "200 0 100 700 60 0 0 0 0 0")
    assert usage.percent() == 100.0


def test_memory_is_absent_without_the_kernels_file(tmp_path: Path) -> None:
    assert system.memory_mb(tmp_path) is None
