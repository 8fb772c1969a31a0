"""Packing of plugins to bundles."""

import os
import shutil
import stat
from pathlib import Path

import pytest

from bus.contract.plugin_file import bundle
from harvester.errors import BuildError
from harvester.plugins.builder.pack import pack, pack_all, write_changed
from harvester.plugins.source import PluginSource, discover, read
from tests.support import PROJECT

WIT = PROJECT / "wit" / "plugin.wit"
APP = """from wit_world import exports
from wit_world.imports import i2c


class SensorLogic(exports.SensorLogic):
    def poll(self): ...
"""


@pytest.fixture
def light(tmp_path: Path) -> PluginSource:
    folder = tmp_path / "light"
    folder.mkdir()
    (folder / "plugin.toml").write_text('world = "sensor-plugin"\ntitle = "Light"\n')
    (folder / "app.py").write_text(APP)
    return read(folder)


def packed(source: PluginSource) -> bundle.Bundle:
    return bundle.parse(bundle.text_of(pack(source, WIT), source.name), source.name)


@pytest.mark.parametrize("source", discover(PROJECT / "plugins"), ids=lambda source: source.name)
def test_the_same_source_makes_the_same_bytes_wherever_and_whenever_it_lies(
    source: PluginSource, tmp_path: Path
) -> None:
    shutil.copytree(PROJECT / "plugins", tmp_path / "plugins", copy_function=shutil.copy)
    moved = read(tmp_path / "plugins" / source.name)
    for file in moved.directory.rglob("*.py"):
        os.utime(file, (1, 1))
    assert pack(moved, WIT) == pack(source, WIT)
    assert len(pack(source, WIT)) < 100_000


def test_modules_have_the_names_by_which_they_are_imported(light: PluginSource) -> None:
    for name in ("chip/__init__.py", "chip/driver.py", "data/table.py", "test_light.py"):
        (light.directory / name).parent.mkdir(exist_ok=True)
        (light.directory / name).write_text(f"# {name}\n")
    (light.directory / "simulated.py").write_text("")
    (light.directory / "no-module.py").write_text("")
    modules = packed(light).modules
    assert {name: module.file for name, module in modules.items()} == {
        "app": "0/app.py",
        "chip": "0/chip/__init__.py",
        "chip.driver": "0/chip/driver.py",
        "data": "0/data/__init__.py",
        "data.table": "0/data/table.py",
    }
    assert [name for name, module in modules.items() if module.is_package] == ["chip", "data"]


def test_it_declares_what_its_source_imports_of_its_world(light: PluginSource) -> None:
    said = packed(light)
    assert (said.imports, said.exports) == (["i2c"], ["sensor-logic"])
    assert said.description.title == "Light"
    (light.directory / "more.py").write_text("import wit_world.imports\n")
    assert len(packed(light).imports) == 13


def test_a_mistake_of_the_contract_is_named_with_its_line(light: PluginSource) -> None:
    (light.directory / "app.py").write_text(APP.replace("i2c", "i2cc"))
    with pytest.raises(BuildError, match=r"app\.py:2: the plugin's world has no wit_world\.impo"):
        pack(light, WIT)


def test_syntax_that_only_the_guests_python_knows_is_packed(light: PluginSource) -> None:
    newer = f'{APP}\ntype Pair[T] = tuple[T, T]\nGREETING = t"hello {{1}}"\n'
    (light.directory / "app.py").write_text(newer)
    assert packed(light).modules["app"].source == newer


def test_only_a_bundle_that_changed_is_written(light: PluginSource) -> None:
    assert pack_all([light], WIT) == [light.bundle]
    assert pack_all([light], WIT) == []
    (light.directory / "app.py").write_text(f"{APP}\n")
    assert pack_all([light], WIT) == [light.bundle]


def test_a_file_that_cannot_be_written_is_named(light: PluginSource, tmp_path: Path) -> None:
    with pytest.raises(BuildError, match=r"nowhere/light\.bundle: No such file or directory"):
        write_changed(tmp_path / "nowhere" / "light.bundle", pack(light, WIT))


def test_a_service_of_another_user_can_read_a_bundle(light: PluginSource) -> None:
    pack_all([light], WIT)
    assert stat.S_IMODE(light.bundle.stat().st_mode) == 0o644


def test_a_pipe_stays_one_and_a_link_is_followed(tmp_path: Path) -> None:
    pipe, link, file = tmp_path / "pipe", tmp_path / "link", tmp_path / "light.bundle"
    os.mkfifo(pipe)
    with pytest.raises(BuildError, match="pipe: found a device or pipe, expected a file"):
        write_changed(pipe, b"bundle")
    assert pipe.is_fifo()
    link.symlink_to(file)
    assert write_changed(link, b"bundle")
    assert link.is_symlink()
    assert file.read_bytes() == b"bundle"
