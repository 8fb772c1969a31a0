from pathlib import Path

import pytest

from node_agent.sandbox import choice


def meminfo(folder: Path, total_mb: int, swap_mb: int) -> Path:
    file = folder / "meminfo"
    file.write_text(
        f"MemTotal:       {total_mb * 1024} kB\nMemAvailable:   {100 * 1024} kB\n"
        f"HugePages_Total:       0\nSwapTotal:      {swap_mb * 1024} kB\n"
    )
    return file


@pytest.mark.parametrize(("total_mb", "swap_mb"), [(512, 0), (416, 100), (7900, 0)])
def test_a_machine_with_memory_and_swap_enough_may_compile(
    tmp_path: Path, total_mb: int, swap_mb: int
) -> None:
    file = meminfo(tmp_path, total_mb, swap_mb)
    assert choice.compiler_obstacle(file) == ""
    assert choice.free_memory_mb(file) == 100


def test_a_machine_that_can_never_compile_says_what_works(tmp_path: Path) -> None:
    found = choice.compiler_obstacle(meminfo(tmp_path, 412, 0))
    assert found.startswith("it has 412 MB of memory, and to compile one takes 420 MB; ")
    assert "send the plugin as a bundle" in found


def test_a_kernel_that_does_not_tell_refuses_nothing(tmp_path: Path) -> None:
    assert choice.compiler_obstacle(tmp_path / "absent") == ""
    assert choice.free_memory_mb(tmp_path / "absent") is None
