"""Packages of a plugin: found by pip in a folder of wheels, locked, packed and run."""

import os
import zipfile
from pathlib import Path

import pytest

from bus.contract.plugin_file import bundle
from bus.errors import MisconfiguredError
from harvester.errors import BuildError
from harvester.plugins.builder.dependencies import lock_file, vendored, wheels
from harvester.plugins.builder.pack import pack
from harvester.plugins.source import PluginSource, read
from node_agent.sandbox.instance import PluginInstance
from node_agent.sandbox.limits import Limits
from node_agent.sandbox.runtime import Runtime
from tests import built_components
from tests.built_components import CACHE
from tests.support import PATIENT_S, PROJECT

WIT = PROJECT / "wit" / "plugin.wit"
APP = """from nmea.words import parse
from wit_world import exports
from wit_world.exports.sensor_logic import Reading


class SensorLogic(exports.SensorLogic):
    def poll(self) -> list[Reading]:
        return [Reading("gps", 1, [("sum", parse("1,2,39"))])]
"""
WORDS = (
    "from units import ONE\n\n\ndef parse(text):\n    return ONE * sum(map(int, text.split(',')))\n"
)


class Index:
    """A folder of wheels, which is all that pip finds."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def add(
        self,
        name: str,
        version: str,
        files: dict[str, str],
        needs: str = "",
        tag: str = "py3-none-any",
    ) -> None:
        info = f"{name}-{version}.dist-info"
        required = f"Requires-Dist: {needs}\n" if needs else ""
        metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{required}"
        wheel = f"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: {tag}\n"
        with zipfile.ZipFile(self.folder / f"{name}-{version}-{tag}.whl", "w") as archive:
            for path, text in files.items():
                archive.writestr(path, text)
            archive.writestr(f"{info}/METADATA", metadata)
            archive.writestr(f"{info}/WHEEL", wheel)
            archive.writestr(f"{info}/RECORD", "")


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Index:
    made = Index(tmp_path / "index")
    made.folder.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(made.folder))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    files = {"nmea/__init__.py": "", "nmea/words.py": WORDS, "tests/test_words.py": "import pytest"}
    made.add("nmea", "1.0", files, needs="units>=2")
    made.add("units", "2.1", {"units.py": "ONE = 1\n"})
    return made


@pytest.fixture
def source(tmp_path: Path, index: Index) -> PluginSource:
    folder = tmp_path / "gps"
    folder.mkdir()
    (folder / "app.py").write_text(APP)
    return depends(folder, "nmea>=1")


def depends(folder: Path, *requirements: str) -> PluginSource:
    """Write the plugin's manifest with these requirements, and read it."""
    packages = ", ".join(f'"{one}"' for one in requirements)
    text = f'world = "sensor-plugin"\n[dependencies]\npackages = [{packages}]\n'
    (folder / "plugin.toml").write_text(text)
    return read(folder)


def test_a_plugin_runs_with_its_packages_and_theirs(source: PluginSource, tmp_path: Path) -> None:
    built_components.packed(PROJECT / "tests" / "components")
    file = tmp_path / "gps.bundle"
    file.write_bytes(pack(source, WIT))
    limits = Limits(PATIENT_S, load_deadline_s=PATIENT_S)
    with Runtime(CACHE, limits) as runtime, runtime.load(file) as loaded:
        assert getattr(loaded, "packages", None) == ["nmea 1.0", "units 2.1"]
        with PluginInstance(loaded, {}, limits, print) as instance:
            (reading,) = instance.call("sensor-logic", "poll")
    assert vars(reading)["values"] == [("sum", 42.0)]


NAMESPACE_APP = """import sys
from importlib import metadata, resources

from far.near import ONE
from wit_world import exports
from wit_world.exports.sensor_logic import Reading


class SensorLogic(exports.SensorLogic):
    def poll(self) -> list[Reading]:
        try:
            metadata.version("absent")
        except metadata.PackageNotFoundError:
            print(metadata.version("Far-Away"), metadata.metadata("far_away")["Name"])
        try:
            resources.files("far.near").joinpath("table.csv").read_text()
        except FileNotFoundError as error:
            print(error)
        return [Reading("gps", 1, [("one", ONE)])]
"""


def test_a_package_in_a_namespace_is_found_with_its_version_and_without_data_files(
    source: PluginSource, index: Index, tmp_path: Path
) -> None:
    built_components.packed(PROJECT / "tests" / "components")
    files = {"far/near/__init__.py": "ONE = 1\n", "far/near/table.csv": "1,2\n"}
    index.add("far_away", "3.1", files)
    (source.directory / "app.py").write_text(NAMESPACE_APP)
    file = tmp_path / "gps.bundle"
    file.write_bytes(pack(depends(source.directory, "far-away"), WIT))
    limits, printed = Limits(PATIENT_S, load_deadline_s=PATIENT_S), list[str]()
    with (
        Runtime(CACHE, limits) as runtime,
        runtime.load(file) as loaded,
        PluginInstance(loaded, {}, limits, printed.append) as instance,
    ):
        (reading,) = instance.call("sensor-logic", "poll")
    assert vars(reading)["values"] == [("one", 1.0)]
    assert printed == [
        "3.1 far_away",
        "a bundle has the modules of far.near, and no data files",
    ]


def test_the_lock_has_exact_versions_and_digests(source: PluginSource) -> None:
    pack(source, WIT)
    lock = lock_file.read(source.directory)
    assert lock is not None
    assert lock.requirements == ["nmea>=1"]
    assert [(one.name, one.version, len(one.sha256)) for one in lock.package] == [
        ("nmea", "1.0", 64),
        ("units", "2.1", 64),
    ]
    assert lock_file.text_of(lock) == (source.directory / lock_file.NAME).read_text()


def test_a_locked_plugin_is_packed_to_the_same_bytes_without_an_index(
    source: PluginSource, index: Index
) -> None:
    first = pack(source, WIT)
    index.add("nmea", "1.5", {"nmea/__init__.py": ""})
    for wheel in index.folder.glob("*-1.0-*"):
        wheel.unlink()
    assert pack(source, WIT) == first
    said = bundle.parse(bundle.text_of(first, "gps"), "gps")
    assert sorted(said.modules) == ["app", "nmea", "nmea.words", "units"]
    assert said.modules["nmea.words"].file == "1/nmea/words.py"


def test_another_requirement_makes_another_lock(source: PluginSource, index: Index) -> None:
    pack(source, WIT)
    index.add("nmea", "2.0", {"nmea/__init__.py": "", "nmea/words.py": WORDS}, needs="units")
    changed = depends(source.directory, "nmea>=2")
    assert vendored.of(changed).packages == ["nmea 2.0", "units 2.1"]


def test_the_newest_packages_are_taken_by_command_only(source: PluginSource, index: Index) -> None:
    pack(source, WIT)
    index.add("units", "3.0", {"units.py": "ONE = 3\n"})
    assert vendored.of(source).packages == ["nmea 1.0", "units 2.1"]
    vendored.renew(source)
    assert vendored.of(source).packages == ["nmea 1.0", "units 3.0"]


def test_another_wheel_than_the_locked_one_is_refused(source: PluginSource, index: Index) -> None:
    pack(source, WIT)
    for kept in wheels.cache_dir().rglob("units-*"):
        kept.unlink()
    index.add("units", "2.1", {"units.py": "ONE = 666\n"})
    with pytest.raises(BuildError, match=r"units 2\.1: found another wheel than the locked"):
        pack(source, WIT)


def cached() -> set[str]:
    return {path.name.partition("-")[0] for path in wheels.cache_dir().rglob("*.whl")}


def test_the_cache_keeps_what_is_used_and_is_bounded(
    source: PluginSource, index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    pack(source, WIT)
    assert cached() == {"nmea", "units"}
    for path in wheels.cache_dir().rglob("*.whl"):
        os.utime(path, (0, 0))
    (used,) = wheels.cache_dir().rglob("units-*.whl")
    os.utime(used)
    index.add("more", "1.0", {"more.py": ""})
    vendored.of(depends(source.directory, "units", "more"))
    assert cached() == {"more", "units"}
    monkeypatch.setattr(wheels, "_MOST_BYTES", 0)
    index.add("last", "1.0", {"last.py": ""})
    vendored.of(depends(source.directory, "last"))
    assert cached() == {"last"}
    assert len(list(wheels.cache_dir().iterdir())) == 1


def test_a_package_with_compiled_parts_is_refused(source: PluginSource, index: Index) -> None:
    index.add("fast", "1.0", {"fast.py": ""}, tag="cp314-cp314-manylinux_2_17_x86_64")
    with pytest.raises(
        BuildError,
        match=r"plugin\.toml: dependencies\.packages: found no wheel of "
        r"pure Python \(py3-none-any\) for 'fast'",
    ):
        vendored.of(depends(source.directory, "fast"))


@pytest.mark.parametrize("place", ["/elsewhere/evil.py", "far/../../evil.py", "far//evil.py"])
def test_a_package_writes_no_file_outside_its_folder(
    source: PluginSource, index: Index, place: str
) -> None:
    index.add("far", "1.0", {place: "x = 1"})
    with pytest.raises(BuildError, match=r"far-1\.0-py3-none-any\.whl: found .*evil\.py"):
        vendored.of(depends(source.directory, "far"))


REQUIREMENTS = [
    *("--index-url=http://x", "../wheel", "x @ file:///etc", ""),
    "construct; python_version > '3.9'",
]


@pytest.mark.parametrize("requirement", REQUIREMENTS)
def test_a_requirement_is_a_name_and_its_versions(source: PluginSource, requirement: str) -> None:
    with pytest.raises(
        MisconfiguredError,
        match=r"plugin\.toml:3: dependencies\.packages.* expected a name with versions, such as",
    ):
        depends(source.directory, requirement)


def test_a_damaged_lock_is_told_with_its_place(source: PluginSource) -> None:
    (source.directory / lock_file.NAME).write_text('requirements = "all"\n')
    with pytest.raises(MisconfiguredError, match=r"plugin\.lock: requirements: found 'all'"):
        vendored.of(source)
