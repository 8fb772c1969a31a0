"""The sandbox with real components: what gets through, what does not, what it costs."""

import math
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bus.config.settings import Grant
from node_agent.actuators.led_buffer import LedBuffer
from node_agent.hal import system
from node_agent.hal.capabilities import Climate, Color, CpuMeter, Relay
from node_agent.hal.errors import DeviceUnavailableError
from node_agent.plugins.readings import samples
from node_agent.plugins.store import PluginStore
from node_agent.plugins.wit_imports import NodeParts, host_imports
from node_agent.sandbox import cache
from node_agent.sandbox.component import LoadedComponent
from node_agent.sandbox.errors import (
    CacheError,
    ComponentError,
    PluginError,
    PluginTimeoutError,
)
from node_agent.sandbox.instance import PluginInstance
from node_agent.sandbox.limits import Limits
from node_agent.sandbox.renderer import Renderer
from node_agent.sandbox.runtime import Runtime
from tests.built_components import CACHE
from tests.support import PATIENT_S, PROJECT, WAIT_S

LIMITS = Limits(PATIENT_S, memory_mb=32, host_calls=1000)
IMPATIENT = msgspec.structs.replace(LIMITS, deadline_s=0.5)


class FakeHardware:
    """Hardware in which every device answers, or none does."""

    def __init__(self, *, answers: bool = True) -> None:
        self._answers = answers

    def _answer(self, value: Any) -> Any:
        if not self._answers:
            raise DeviceUnavailableError("no answer at i2c-1 0x77")
        return value

    def read_dht22(self, _pin: int) -> Climate:
        return self._answer(Climate(21.5, 40.0))

    def i2c_transfer(self, _address: int, data: bytes, read_len: int) -> bytes:
        return self._answer(data[::-1] + bytes(read_len))

    def spi_transfer(self, data: bytes) -> bytes:
        return self._answer(data)

    def uart_read(self, max_len: int) -> bytes:
        return self._answer(b"$GPGGA"[:max_len])

    def uart_write(self, data: bytes) -> int:
        return self._answer(len(data))

    def uart_set_baud(self, _rate: int) -> None:
        self._answer(None)

    def cpu_temperature_c(self) -> float | None:
        return self._answer(48.5)

    def cpu_meter(self) -> CpuMeter:
        return system.CpuUsage()

    def memory_mb(self) -> tuple[int, int] | None:
        return system.memory_mb()

    def show_pixels(self, pixels: object) -> None: ...

    def set_relay(self, relay: Relay, *, on: bool) -> None: ...

    def close(self) -> None: ...


EVERYTHING = Grant(gpio=[4], leds=[1], i2c=["0x77"], buzzer=True, spi=True, uart=True, state=True)


class Guest:
    """The mischievous component with its mode, lines and LEDs at hand."""

    def __init__(
        self,
        loaded: LoadedComponent,
        directory: Path,
        grant: Grant,
        *,
        answers: bool = True,
        limits: Limits = LIMITS,
    ) -> None:
        self.lines: list[str] = []
        self.leds = LedBuffer(8)
        self.store = PluginStore(directory / "mischief.json")
        parts = NodeParts(FakeHardware(answers=answers), self.leds, None, None)
        imports = host_imports("mischief", grant, parts, self.store)
        self.instance = PluginInstance(loaded, imports, limits, self.lines.append)

    def poll(self, mode: str) -> Any:
        self.store.set("mode", mode)
        return self.instance.call("sensor-logic", "poll")

    def values(self, mode: str) -> dict[str, Any]:
        return dict(samples(self.poll(mode), "mischief")[0].data)


MakeGuest = Callable[..., Guest]


@pytest.fixture
def make_guest(mischief: LoadedComponent, tmp_path: Path) -> Any:
    guests = []

    def make(grant: Grant = EVERYTHING, **options: Any) -> Guest:
        directory = tmp_path / str(len(guests))
        guests.append(Guest(mischief, directory, grant, **options))
        return guests[-1]

    yield make
    for guest in guests:
        guest.instance.close()


def test_a_guest_keeps_its_memory_between_polls(make_guest: MakeGuest) -> None:
    guest = make_guest()
    assert [guest.values("count")["polls"] for _ in range(3)] == [1, 2, 3]


def test_what_a_guest_prints_arrives_as_lines(make_guest: MakeGuest) -> None:
    guest = make_guest()
    guest.poll("count")
    guest.instance.close()
    assert guest.lines == ["poll 1"]


def test_granted_devices_are_reached(make_guest: MakeGuest) -> None:
    guest = make_guest()
    values = guest.values("touch_everything")
    assert values["memory"] > 0
    assert {name for name, refused in values.items() if refused == 1.0} == set()


def test_without_a_grant_every_call_is_refused_with_the_line_to_add(make_guest: MakeGuest) -> None:
    guest = make_guest(Grant(state=True))
    refused = guest.values("touch_everything")
    guest.instance.close()
    assert [refused[name] for name in ("dht22", "i2c", "spi", "uart")] == [1.0] * 4
    assert 'i2c: not granted: add i2c = ["0x77"] to [plugins.grants.mischief]' in guest.lines


def test_a_device_that_does_not_answer_is_an_err_that_names_it(make_guest: MakeGuest) -> None:
    guest = make_guest(answers=False)
    guest.poll("touch_everything")
    guest.instance.close()
    assert "i2c: no answer at i2c-1 0x77" in guest.lines


def test_only_granted_leds_change(make_guest: MakeGuest) -> None:
    guest = make_guest()
    guest.poll("touch_everything")
    shown = guest.leds.show(lambda _: None)
    assert shown is not None
    assert [i for i, pixel in enumerate(shown) if pixel != Color(0, 0, 0)] == [1]


FAULTS = {
    "fail": (PluginError, r"ValueError: the sensor is on fire \(app.py:\d+\)$"),
    "endless": (PluginTimeoutError, "deadline of 0.5 s"),
    "recurse": (PluginError, "RecursionError"),
    "hog": (PluginError, "more memory than its limit of 32 MB"),
    "leave": (PluginError, "called sys.exit"),
    "nonsense": (PluginError, r"poll\(\): found 'not a list', expected a list \(app.py:\d+\)$"),
    "led_storm": (PluginError, "made more than 1000 host calls in one poll"),
}


@pytest.mark.parametrize("mode", FAULTS)
def test_a_fault_is_a_sentence_and_a_fresh_instance_works(make_guest: MakeGuest, mode: str) -> None:
    kind, sentence = FAULTS[mode]
    limits = IMPATIENT if kind is PluginTimeoutError else LIMITS
    with pytest.raises(kind, match=sentence):
        make_guest(limits=limits).poll(mode)
    assert make_guest().values("count") == {"polls": 1.0}


def test_the_guests_own_traceback_is_kept(make_guest: MakeGuest) -> None:
    guest = make_guest()
    with pytest.raises(PluginError):
        guest.poll("fail")
    assert "in fail\nValueError: the sensor is on fire" in guest.instance.traceback


MISTAKES = {
    "none_value": (
        "poll(): sensor 'bad': values: 'temperature': found None, expected a number",
        'bad = one("bad"',
    ),
    "text_value": (
        "poll(): sensor 'odd': values: 'a': found '21.5', expected a number",
        'one("odd", [("a", "21.5")])',
    ),
    "number_id": ("poll(): item 0: sensor_id: found 7, expected a string", "Reading(7, 1"),
    "negative_time": (
        f"poll(): sensor 'odd': timestamp_ms: found -1, expected an integer from 0 to {2**64 - 1}",
        'Reading("odd", -1',
    ),
    "pair_of_three": (
        "poll(): sensor 'odd': values: 'a': found ('a', 1.0, 2.0), expected a tuple of 2 values",
        '("a", 1.0, 2.0)',
    ),
    "wrong_led": (
        "led_controller.set_led: index: found 400, expected an integer from 0 to 255",
        "set_led(400",
    ),
    "wrong_bytes": ("spi.transfer: data: found [1, 2], expected bytes", "spi.transfer([1, 2])"),
    "wrong_err": ("Err: found 5, expected a string", "raise Err(5)"),
}


@pytest.mark.parametrize("mode", MISTAKES)
def test_a_value_that_the_contract_does_not_allow_is_named_with_file_and_line(
    make_guest: MakeGuest, mode: str
) -> None:
    said, text = MISTAKES[mode]
    source = (PROJECT / "tests/components/mischief/app.py").read_text().splitlines()
    lines = [number for number, line in enumerate(source, 1) if text in line]
    if "one(" in text:  # that function makes the reading
        lines = [n for n, line in enumerate(source, 1) if "return Reading(sensor_id" in line]
    with pytest.raises(PluginError) as raised:
        make_guest().poll(mode)
    assert str(raised.value) == f"TypeError: {said} (app.py:{lines[0]})"


def test_what_a_function_imports_is_part_of_the_component(make_guest: MakeGuest) -> None:
    values = make_guest().values("lazy_imports")
    assert values == {"euro": 1.0, "year": 2024.0, "half": 0.5, "mean": 2.0}


def test_standard_error_is_logged_as_prints_are(make_guest: MakeGuest) -> None:
    guest = make_guest()
    guest.poll("warn")
    assert guest.lines == ["the sensor is slow", "poll 1"]


def test_a_traceback_that_the_plugin_prints_is_logged(make_guest: MakeGuest) -> None:
    guest = make_guest()
    guest.poll("print_exception")
    assert guest.lines[:2] == ["poll 1", "Traceback (most recent call last):"]
    assert guest.lines[-1] == "ValueError: the sensor is on fire"


@pytest.mark.parametrize("said", ["warn", "print_exception"])
def test_what_an_earlier_poll_said_is_not_the_reason_for_a_fault(
    make_guest: MakeGuest, said: str
) -> None:
    guest = make_guest()
    guest.poll(said)
    guest.poll("count")
    with pytest.raises(PluginError, match=r"^returned more than 65536 bytes$"):
        guest.poll("large_string")
    assert guest.instance.traceback == ""


def test_the_err_of_a_poll_is_a_value_and_no_fault(make_guest: MakeGuest) -> None:
    guest = make_guest()
    assert guest.poll("complain") == "no answer from the sensor"
    assert guest.values("count")["polls"] == 2.0


def test_numbers_that_are_none_are_absent(make_guest: MakeGuest) -> None:
    values = make_guest().values("not_finite")
    assert values == {"fine": 1.5}
    assert all(math.isfinite(value) for value in values.values())


def test_a_guest_sees_no_files_and_no_environment(make_guest: MakeGuest) -> None:
    assert make_guest().values("look_around") == {"environment": 0.0, "files": 0.0}


def test_guests_side_by_side_do_not_disturb_each_other(make_guest: MakeGuest) -> None:
    guests = [make_guest() for _ in range(4)]
    results: list[list[float]] = [[] for _ in guests]

    def work(number: int) -> None:
        for _ in range(50):
            results[number].append(guests[number].values("touch_everything")["i2c"])

    guests[0].store.set("mode", "touch_everything")
    threads = [threading.Thread(target=work, args=(n,)) for n in range(len(guests))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(WAIT_S)
    assert results == [[0.0] * 50] * len(guests)


def test_a_component_is_compiled_once(runtime: Runtime, mischief_wasm: Path) -> None:
    compiled, _ = cache.compiled(mischief_wasm, CACHE)
    before = compiled.stat().st_mtime_ns
    runtime.load(mischief_wasm).close()
    assert compiled.stat().st_mtime_ns == before


def test_a_missing_component_says_how_it_is_made(runtime: Runtime, tmp_path: Path) -> None:
    with pytest.raises(ComponentError, match="harvester plugins build"):
        runtime.load(tmp_path / "x.wasm")


@pytest.mark.parametrize("content", [b"", b"not wasm", b"\0asm\1\0\0\0", b"\0asm\x0d\0\1\0"])
def test_a_file_that_is_no_component_of_ours_is_refused(
    runtime: Runtime, tmp_path: Path, content: bytes
) -> None:
    wasm = tmp_path / "x.wasm"
    wasm.write_bytes(content)
    with pytest.raises(ComponentError, match=str(wasm)):
        runtime.load(wasm)


def test_a_truncated_component_is_refused(
    runtime: Runtime, tmp_path: Path, mischief_wasm: Path
) -> None:
    wasm = tmp_path / "x.wasm"
    wasm.write_bytes(mischief_wasm.read_bytes()[:100_000])
    with pytest.raises(ComponentError, match=str(wasm)):
        runtime.load(wasm)


def test_a_cache_that_others_may_write_to_is_not_used(tmp_path: Path) -> None:
    directory = tmp_path / "cache"
    directory.mkdir()
    directory.chmod(0o777)
    with pytest.raises(CacheError, match=r"storage\.cache_dir"):
        Runtime(directory, Limits())


def test_a_compiled_file_that_others_may_write_to_is_not_used(
    tmp_path: Path, mischief_wasm: Path
) -> None:
    compiled, _ = cache.compiled(mischief_wasm, CACHE)
    directory = tmp_path / "cache"
    cache.prepare_directory(directory)
    # A copy of its own: a hard link would take the other tests' cache away from them.
    copy = Path(shutil.copy(compiled, directory))
    copy.chmod(0o666)
    with pytest.raises(CacheError, match="no write access for others"):
        cache.compiled(mischief_wasm, directory)


def test_the_renderer_turns_json_into_a_page(bundles: dict[str, Path]) -> None:
    state = '{"now_ms": 0, "version": "1", "cards": [], "entries": [], "logs": []}'
    with Renderer(bundles["dashboard"], CACHE) as renderer:
        page = renderer.render(state)
    assert "<html" in page
