"""Versions of the contract: components of the same major version load, whatever they import."""

from pathlib import Path

import pytest
from wasmtime import wat2wasm

from node_agent.sandbox.errors import ComponentError
from node_agent.sandbox.instance import PluginInstance
from node_agent.sandbox.limits import Limits
from node_agent.sandbox.runtime import Runtime
from tests.support import PATIENT_S, PROJECT

OLD = PROJECT / "tests" / "components" / "by-hand" / "version-1-0-0.wat"
HOST = {"system-info": {"get-uptime": lambda: 77}}


def component(directory: Path, version: str) -> Path:
    wasm = directory / "versioned.wasm"
    wasm.write_bytes(wat2wasm(OLD.read_text().replace("@1.0.0", f"@{version}")))
    return wasm


@pytest.mark.parametrize("version", ["1.0.0", "1.1.0", "1.0.7", "1.12.0"])
def test_a_component_of_the_same_major_version_runs(tmp_path: Path, version: str) -> None:
    with (
        Runtime(tmp_path / "cache", Limits()) as runtime,
        runtime.load(component(tmp_path, version)) as loaded,
        PluginInstance(loaded, HOST, Limits(PATIENT_S), lambda _line: None) as instance,
    ):
        (reading,) = instance.call("sensor-logic", "poll")
    assert reading.values == [("answer", 77.0)]


@pytest.mark.parametrize("version", ["2.0.0", "0.9.0", "1.0.0-rc1"])
def test_a_component_of_another_major_version_is_refused(tmp_path: Path, version: str) -> None:
    with (
        Runtime(tmp_path / "cache", Limits()) as runtime,
        pytest.raises(ComponentError, match=r"expected interfaces of harvester:plugin@1\.1\.0"),
    ):
        runtime.load(component(tmp_path, version))
