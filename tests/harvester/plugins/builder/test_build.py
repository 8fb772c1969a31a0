import fcntl
import itertools
import os
import subprocess
import threading
from pathlib import Path

import pytest

from bus.contract.description import FieldDescription, PluginDescription
from bus.contract.plugin_file import component_section
from harvester.plugins.builder import build, toolchain
from harvester.plugins.manifest import Manifest
from harvester.plugins.source import PluginSource, digest_of_inputs, read
from tests.support import PROJECT

WIT = PROJECT / "wit" / "plugin.wit"
WAIT_S = 60.0
PLUGIN = "class SensorLogic:\n    def poll(self): return []\n"
# The smallest component: a header and no section.
COMPONENT = b"\0asm\x0d\0\x01\0"


@pytest.fixture
def source(tmp_path: Path) -> PluginSource:
    (tmp_path / "app.py").write_text("")
    (tmp_path / "plugin.toml").write_text('world = "sensor-plugin"\n')
    return PluginSource(tmp_path, Manifest("sensor-plugin"))


@pytest.mark.parametrize("other_built", [True, False], ids=["built", "failed"])
def test_a_second_build_of_a_plugin_waits_for_the_first(
    source: PluginSource,
    other_built: bool,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    built: list[str] = []
    monkeypatch.setattr(build, "_componentize", lambda source, *_: built.append(source.name))
    outcomes: list[build.Built] = []
    other = os.open(source.directory, os.O_RDONLY)
    fcntl.flock(other, fcntl.LOCK_EX)
    second = threading.Thread(target=lambda: outcomes.extend(build.build_all([source], WIT)))
    second.start()
    second.join(0.3)
    assert second.is_alive()
    if other_built:
        source.wasm.write_bytes(b"the first one's")
        source.stamp.write_text(digest_of_inputs(source, WIT))
    os.close(other)
    second.join(WAIT_S)
    assert [outcome.error for outcome in outcomes] == [""]
    assert built == ([] if other_built else [source.name])
    assert capfd.readouterr().err == f"{source.name}: waiting for another build of it\n"


def test_a_build_leaves_no_lock_behind(
    source: PluginSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build, "_componentize", lambda *_: None)
    before = sorted(source.directory.iterdir())
    list(build.build_all([source], WIT))
    assert sorted(source.directory.iterdir()) == before


def test_the_description_is_in_the_component(source: PluginSource) -> None:
    said = PluginDescription(title="Light", fields={"lux": FieldDescription("Light", "lx")})
    source.wasm.write_bytes(COMPONENT)
    build.describe(source.wasm, said)
    assert component_section.read(source.wasm) == said


def test_a_plugin_without_a_description_keeps_its_component_as_it_is(source: PluginSource) -> None:
    source.wasm.write_bytes(COMPONENT)
    build.describe(source.wasm, source.manifest.description)
    assert source.wasm.read_bytes() == COMPONENT


def test_the_compiler_cannot_write_into_the_folders_of_a_plugin(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plugin, shared = tmp_path / "plugin", tmp_path / "shared"
    for folder, module in ((plugin, "app"), (shared, "common")):
        folder.mkdir()
        (folder / f"{module}.py").write_text(PLUGIN)
    (plugin / "plugin.toml").write_text('world = "sensor-plugin"\npython_path = ["../shared"]\n')
    seen: list[list[str]] = []

    def write_everywhere(command: list[str], *_: Path) -> "subprocess.CompletedProcess[str]":
        folders = [Path(path) for flag, path in itertools.pairwise(command) if flag == "-p"]
        seen.extend(sorted(file.name for file in folder.iterdir()) for folder in folders)
        for folder in folders:
            (folder / "left.pyc").write_text("written at build")
        return subprocess.CompletedProcess(command, 1, "", "ended")

    monkeypatch.setattr(toolchain, "run", write_everywhere)
    before = sorted(tmp_path.rglob("*"))
    (outcome,) = build.build_all([read(plugin)], WIT)
    assert "ended" in outcome.error
    assert seen[:2] == [["app.py", "plugin.toml"], ["common.py"]]
    assert sorted(tmp_path.rglob("*")) == before
