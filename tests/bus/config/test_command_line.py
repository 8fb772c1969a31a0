"""`--check` and the search for a file, as a person meets them."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
URL = '[broker]\nurl = "mqtt://127.0.0.1"\n'


def pizero(directory: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pizero_native.cli", *arguments],
        cwd=directory,
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_check_prints_the_effective_configuration_and_exits_with_0(tmp_path: Path) -> None:
    file = tmp_path / "any.toml"
    file.write_text(URL)
    done = pizero(tmp_path, "--config", str(file), "--check", "--simulate", "--set", "leds.count=3")
    assert (done.returncode, done.stderr) == (0, "")
    printed = tomllib.loads(done.stdout)
    assert printed["leds"]["count"] == 3
    assert printed["hardware"]["driver"] == "simulated"
    assert printed["polling"]["interval_seconds"] == 2.0


@pytest.mark.parametrize("extra", [["--check"], []])
def test_a_wrong_file_is_one_line_and_exit_code_2(tmp_path: Path, extra: list[str]) -> None:
    file = tmp_path / "wrong.toml"
    file.write_text("[leds]\ncount = -1\n")
    done = pizero(tmp_path, "--config", str(file), *extra)
    assert (done.returncode, done.stdout) == (2, "")
    said = f"{file}: leds.count: found -1, expected an integer from 0 to 256\n"
    assert done.stderr == said


def test_an_unknown_option_exits_with_2(tmp_path: Path) -> None:
    assert pizero(tmp_path, "--frobnicate").returncode == 2


def test_the_file_is_found_by_role_where_none_is_named(tmp_path: Path) -> None:
    for node_id, directory in (("near", tmp_path / "a" / "config"), ("above", tmp_path / "config")):
        directory.mkdir(parents=True)
        (directory / "pizero.toml").write_text(f'{URL}[cluster]\nnode_id = "{node_id}"\n')
    found = pizero(tmp_path / "a", "--check")
    assert tomllib.loads(found.stdout)["cluster"]["node_id"] == "near"
    (tmp_path / "a" / "config" / "pizero.toml").unlink()
    found = pizero(tmp_path / "a", "--check")
    assert tomllib.loads(found.stdout)["cluster"]["node_id"] == "above"
    (tmp_path / "config" / "pizero.toml").unlink()
    found = pizero(tmp_path / "a", "--check")
    assert tomllib.loads(found.stdout)["cluster"]["node_id"] == "node"


def test_help_reads_well(tmp_path: Path) -> None:
    done = pizero(tmp_path, "--help")
    assert done.returncode == 0
    for option in ("--config FILE", "--set TABLE.KEY=VALUE", "--simulate", "--check"):
        assert option in done.stdout
