"""Files that are no component of ours, compiled files that are not to be trusted, and bytecode."""

import os
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

import msgspec
import pytest
from wasmtime import wat2wasm

from node_agent.actuators.led_buffer import LedBuffer
from node_agent.plugins.readings import Sample, samples
from node_agent.plugins.wit_imports import NodeParts, host_imports
from node_agent.sandbox import cache, choice, seal
from node_agent.sandbox.choice import Wanted
from node_agent.sandbox.engine import Target
from node_agent.sandbox.errors import ComponentError, PluginError
from node_agent.sandbox.instance import PluginInstance
from node_agent.sandbox.limits import Limits
from node_agent.sandbox.runtime import Runtime
from tests.built_components import CACHE, compile_quickly
from tests.node_agent.sandbox.test_instance import EVERYTHING, FakeHardware
from tests.support import PATIENT_S, PROJECT, WAIT_S, wait_until

BY_HAND = PROJECT / "tests" / "components" / "by-hand" / "sensor.wat"
ENDLESS = [sys.executable, "-c", "import time; time.sleep(3600)"]
READING = [Sample("by-hand", 1_700_000_000_000, {"answer": 42.0})]
# Of the contract's next major version.
OTHER_EXPORT = """(component
  (instance $i) (export "harvester:plugin/sensor-logic@2.0.0" (instance $i)))"""
OTHER_IMPORT = """(component
  (import "harvester:plugin/i2c@2.0.0" (instance))
  (instance $i) (export "harvester:plugin/sensor-logic@1.0.0" (instance $i)))"""


@pytest.fixture
def wasm(tmp_path: Path) -> Path:
    """Return a component of a few hundred bytes, which compiles at once."""
    path = tmp_path / "by-hand.wasm"
    path.write_bytes(wat2wasm(BY_HAND.read_text()))
    return path


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    cache.prepare_directory(tmp_path / "cache")
    return tmp_path / "cache"


def poll(wasm: Path, directory: Path, target: Wanted = "auto") -> tuple[list[Sample], str]:
    """Return what a component's first poll gives, and what it ran as."""
    imports = host_imports(
        "p", EVERYTHING, NodeParts(FakeHardware(), LedBuffer(8), None, None), None
    )
    with (
        Runtime(directory, Limits(), target=target) as runtime,
        runtime.load(wasm) as loaded,
        PluginInstance(loaded, imports, Limits(PATIENT_S), lambda _line: None) as instance,
    ):
        return samples(instance.call("sensor-logic", "poll"), "p"), loaded.runs_as


def test_a_component_of_any_language_is_a_plugin(wasm: Path, directory: Path) -> None:
    assert poll(wasm, directory) == (READING, "native code")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("(component)", "exports nothing"),
        ('(component (instance $i) (export "wasi:cli/run@0.2.0" (instance $i)))', "wasi:cli/run"),
        (
            '(component (import "other:package/thing@1.0.0" (instance)))',
            "imports other:package/thing@1.0.0; expected",
        ),
        (OTHER_EXPORT, r"sensor-logic@2\.0\.0.*expected.*@1\."),
        (OTHER_IMPORT, r"imports harvester:plugin/i2c@2\.0\.0; expected"),
        ("(module)", "not a component"),
    ],
)
def test_a_component_of_another_world_is_refused(
    directory: Path, tmp_path: Path, text: str, says: str
) -> None:
    path = tmp_path / "other.wasm"
    path.write_bytes(wat2wasm(text))
    with Runtime(directory, Limits()) as runtime, pytest.raises(ComponentError, match=says):
        runtime.load(path)


def test_a_function_that_the_host_does_not_know_is_refused(directory: Path, tmp_path: Path) -> None:
    path = tmp_path / "more.wasm"
    path.write_bytes(
        wat2wasm(
            '(component (import "harvester:plugin/i2c@1.0.0" (instance (export "scan" (func)))) '
            '(instance $i) (export "harvester:plugin/sensor-logic@1.0.0" (instance $i)))'
        )
    )
    with pytest.raises(PluginError, match=r"imports i2c\.scan, which no host offers"):
        poll(path, directory)


def test_a_compiled_file_that_was_written_to_is_made_anew(
    wasm: Path, directory: Path, caplog: pytest.LogCaptureFixture
) -> None:
    compiled, _ = cache.compiled(wasm, directory)
    good = compiled.read_bytes()
    with compiled.open("r+b") as file:
        file.seek(len(good) // 2)
        file.write(bytes(byte ^ 255 for byte in good[len(good) // 2 :][:64]))
    assert poll(wasm, directory)[0] == READING
    assert "compiling it again" in caplog.text
    assert compiled.read_bytes() == good


def test_a_changed_file_with_its_old_times_is_made_anew(wasm: Path, directory: Path) -> None:
    compiled, _ = cache.compiled(wasm, directory)
    before = compiled.stat()
    good = compiled.read_bytes()
    compiled.write_bytes(bytes(len(good)))
    os.utime(compiled, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert poll(wasm, directory)[0] == READING
    assert compiled.read_bytes() == good


def test_a_copy_of_a_compiled_file_is_known_by_its_digest(wasm: Path, directory: Path) -> None:
    compiled, _ = cache.compiled(wasm, directory)
    moved = compiled.with_suffix(".moved")
    shutil.copy(compiled, moved)
    moved.replace(compiled)
    inode = compiled.stat().st_ino
    assert poll(wasm, directory)[0] == READING
    assert compiled.stat().st_ino == inode


@pytest.mark.parametrize("field", ["settings", "component", "machine"])
def test_a_compiled_file_of_something_else_is_made_anew(
    wasm: Path, directory: Path, field: str, caplog: pytest.LogCaptureFixture
) -> None:
    compiled, _ = cache.compiled(wasm, directory)
    record = seal.read(compiled)
    assert record is not None
    seal.write(compiled, msgspec.structs.replace(record, **{field: "wasmtime-1.0.0"}))
    assert poll(wasm, directory)[0] == READING
    assert "compiling it again" in caplog.text
    assert seal.read(compiled) != record


def test_a_file_that_wasmtime_itself_refuses_is_made_anew(wasm: Path, directory: Path) -> None:
    compiled, digest = cache.compiled(wasm, directory)
    cache.run_compiler(wasm, compiled, Target.PULLEY)
    record = seal.read(compiled)
    assert record is not None
    seal.write(compiled, msgspec.structs.replace(record, machine=Target.NATIVE.machine))
    assert seal.holds(compiled, digest, Target.NATIVE.machine)
    assert poll(wasm, directory) == (READING, "native code")


def test_what_was_not_used_for_a_month_makes_room(wasm: Path, directory: Path) -> None:
    old = directory / "old.cwasm"
    old.write_bytes(b"x")
    os.utime(old, (0, 0))
    cache.compiled(wasm, directory)
    assert not old.exists()


def test_bytecode_runs_where_it_is_asked_for(wasm: Path, directory: Path) -> None:
    assert poll(wasm, directory, "pulley64") == (READING, "pulley64 bytecode")


@pytest.fixture(scope="module")
def bytecode(mischief_wasm: Path) -> Path:
    compile_quickly(mischief_wasm, Target.PULLEY)
    return mischief_wasm


def test_a_python_plugin_runs_as_bytecode(bytecode: Path) -> None:
    polled, runs_as = poll(bytecode, CACHE, "pulley64")
    assert polled[0].sensor_id == "counter"
    assert runs_as == "pulley64 bytecode"


def ship(wasm: Path, target: Target) -> Path:
    path = cache.shipped_path(wasm, target)
    cache.run_compiler(wasm, path, target, portable=True)
    return path


def no_compiler(*_arguments: object, **_options: object) -> None:
    raise ComponentError("the compiler was killed")


@pytest.mark.parametrize(
    ("target", "runs_as"),
    [(Target.NATIVE, "native code"), (Target.PULLEY, "pulley64 bytecode")],
)
def test_a_shipped_file_runs_where_nothing_can_be_compiled(
    wasm: Path, directory: Path, target: Target, runs_as: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ship(wasm, target)
    monkeypatch.setattr(cache, "run_compiler", no_compiler)
    assert poll(wasm, directory) == (READING, runs_as)


def test_bytecode_runs_where_the_compiler_lacks_memory(
    wasm: Path, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ship(wasm, Target.PULLEY)
    monkeypatch.setattr(choice, "free_memory_mb", lambda: 100)
    assert poll(wasm, directory) == (READING, "pulley64 bytecode")


def test_native_code_is_made_where_it_can_be(wasm: Path, directory: Path) -> None:
    ship(wasm, Target.PULLEY)
    assert poll(wasm, directory) == (READING, "native code")


@pytest.mark.parametrize("spoil", ["mode", "content", "link"])
def test_a_shipped_file_that_is_not_to_be_trusted_is_not_used(
    wasm: Path, directory: Path, spoil: str, caplog: pytest.LogCaptureFixture
) -> None:
    path = ship(wasm, Target.PULLEY)
    if spoil == "mode":
        path.chmod(0o666)
    elif spoil == "content":
        path.write_bytes(bytes(path.stat().st_size))
    else:
        path.rename(path.with_suffix(".elsewhere"))
        path.symlink_to(path.with_suffix(".elsewhere"))
    digest = cache.sha256_of(wasm)
    assert cache.available(wasm, directory, Target.PULLEY, digest) is None
    assert "it is not used" in caplog.text


def test_free_memory_is_as_the_kernel_reckons_it(tmp_path: Path) -> None:
    meminfo = tmp_path / "meminfo"
    meminfo.write_text("MemTotal: 425984 kB\nMemAvailable: 204800 kB\n")
    assert choice.free_memory_mb(meminfo) == 200
    assert choice.free_memory_mb(tmp_path / "none") is None


def test_the_output_and_the_exit_code_are_told() -> None:
    command = [sys.executable, "-c", "import sys; print('a'); sys.exit('b')"]
    done = cache._run(command, WAIT_S)
    assert (done.returncode, done.stdout, done.stderr) == (1, "a\n", "b\n")


def test_a_compiler_that_is_ended_fails_for_the_one_that_waits() -> None:
    codes: list[int] = []
    waiting = threading.Thread(target=lambda: codes.append(cache._run(ENDLESS, 3600).returncode))
    waiting.start()
    wait_until(lambda: cache._children)
    cache.end_compilers()
    waiting.join(WAIT_S)
    assert codes == [-signal.SIGKILL]
    assert not cache._children


def test_a_compiler_that_takes_too_long_is_ended() -> None:
    with pytest.raises(subprocess.TimeoutExpired):
        cache._run(ENDLESS, 0.1)
    assert not cache._children
