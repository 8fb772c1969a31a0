"""Compiling built plugins from the command line."""

import platform
from pathlib import Path

import pytest
from wasmtime import wat2wasm

from harvester.cli import main
from node_agent.sandbox import cache, seal
from node_agent.sandbox.engine import Target
from tests.support import PROJECT

BY_HAND = PROJECT / "tests" / "components" / "by-hand" / "sensor.wat"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Return a project with one built plugin of a few hundred bytes."""
    plugin = tmp_path / "plugins" / "tiny"
    plugin.mkdir(parents=True)
    (plugin / "plugin.toml").write_text('world = "sensor-plugin"\n')
    (plugin / "tiny.wasm").write_bytes(wat2wasm(BY_HAND.read_text()))
    return tmp_path


def run(project: Path, *arguments: str) -> None:
    main(["--project", str(project), "plugins", "compile", *arguments])


@pytest.mark.parametrize(
    ("arguments", "machine"),
    [([], platform.machine()), (["--target", "pulley64", "tiny"], "pulley64")],
)
def test_a_compiled_file_stands_by_its_component(
    project: Path, arguments: list[str], machine: str, capsys: pytest.CaptureFixture[str]
) -> None:
    run(project, *arguments)
    output = project / "plugins" / "tiny" / f"tiny.{machine}.cwasm"
    assert output.stat().st_mode & 0o777 == 0o644
    assert seal.holds(output, cache.sha256_of(output.parent / "tiny.wasm"), machine)
    assert capsys.readouterr().out.startswith(f"tiny: tiny.{machine}.cwasm, ")


def test_files_for_a_machine_can_be_gathered_in_a_folder(project: Path) -> None:
    run(project, "--target", "pulley64", "--output", str(project / "for-pizero"))
    names = sorted(path.name for path in (project / "for-pizero").iterdir())
    assert names == ["tiny.pulley64.cwasm", "tiny.pulley64.cwasm.json"]


def test_what_stands_is_not_compiled_again(project: Path) -> None:
    run(project)
    output = cache.shipped_path(project / "plugins" / "tiny" / "tiny.wasm", Target.NATIVE)
    before = output.stat().st_mtime_ns
    run(project)
    assert output.stat().st_mtime_ns == before


def test_a_plugin_that_is_not_built_is_said_so(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "plugins" / "tiny" / "tiny.wasm").unlink()
    with pytest.raises(SystemExit) as exited:
        run(project)
    assert exited.value.code == 2
    assert "run `harvester plugins build` first" in capsys.readouterr().err


def test_what_does_not_compile_is_said_so(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "plugins" / "tiny" / "tiny.wasm").write_bytes(b"not wasm")
    with pytest.raises(SystemExit) as exited:
        run(project)
    assert exited.value.code == 1
    assert "tiny: FAILED: " in capsys.readouterr().out
