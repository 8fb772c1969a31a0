"""CPU and memory of the Pi 4's four plugins, beside the library's own JIT in the process.

Prints the CPU time in ms of one cycle of all four, and of a poll as native code and as pulley64
bytecode, and what a swap to a changed component takes while the old one is polled on, in ms and
missed polls. The peer compiles the same four components in the measuring process, as a system
without a cache of compiled files does; its swap is a component compiled while everything waits.
"""

import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

from wasmtime.component import Component

from bus.config import config_file
from bus.config.settings import Config, Grant
from bus.contract.messages import PluginState
from node_agent.actuators.led_buffer import LedBuffer
from node_agent.hal.board import open_hardware
from node_agent.host_functions.effects import EffectParts
from node_agent.plugins.readings import Sample
from node_agent.plugins.runner import PluginRunner
from node_agent.plugins.store import PluginStore
from node_agent.plugins.thread import PluginParts
from node_agent.plugins.wit_imports import NodeParts, host_imports
from node_agent.sandbox import cache
from node_agent.sandbox.bundles.loaded import entry
from node_agent.sandbox.choice import Wanted
from node_agent.sandbox.component import LoadedComponent
from node_agent.sandbox.engine import Target, make_engine
from node_agent.sandbox.instance import Imports, PluginInstance
from node_agent.sandbox.limits import Limits
from node_agent.sandbox.runtime import Runtime
from tests.support import PROJECT

PLUGINS = ("dht22", "bme680", "pi4-monitor", "oled")
CACHE = PROJECT / ".harvester" / "cache"
# A DHT22 rests for 2 s between reads, so a cycle takes that long without costing anything.
CYCLES = 10
WARM_UP = 2
# The one that waits for no chip.
SWAPPED = "pi4-monitor"
SWAPS = 5
BEAT_S = 0.05
FEED = '{"revpi": {"online": true}, "pi4": {"online": true}}'
Poll = Callable[[], object]


class Node:
    """Simulated hardware and the configuration of the Pi 4."""

    def __init__(self, directory: Path) -> None:
        found = config_file.load(PROJECT / "config" / "spoke.toml", ["hardware.driver=simulated"])
        self.config: Config = found
        self.parts = NodeParts(open_hardware(found), LedBuffer(found.leds.count), None, None)
        self._directory = directory

    def imports(self, name: str) -> Imports:
        store = PluginStore(self._directory / f"{name}.json")
        return host_imports(name, self.config.plugins.grants[name], self.parts, store)


def unheard(_line: str) -> None: ...


def wasm_of(name: str) -> Path:
    return PROJECT / "plugins" / name / f"{name}.wasm"


def poll_of(loaded: LoadedComponent, instance: PluginInstance) -> Poll:
    interface, function = entry(loaded)
    arguments = (FEED,) if function == "update" else ()
    return lambda: instance.call(interface, function, *arguments)


def measure(polls: Sequence[Poll]) -> tuple[float, list[float]]:
    """Return CPU ms of a cycle that polls all, and each plugin's median CPU ms of a poll."""
    taken: list[list[float]] = [[] for _ in polls]
    for number in range(WARM_UP + CYCLES):
        if number == WARM_UP:
            began_s = time.process_time()
        for times, poll in zip(taken, polls, strict=True):
            poll_began_s = time.thread_time()
            poll()
            times.append((time.thread_time() - poll_began_s) * 1000)
    cpu_ms = (time.process_time() - began_s) * 1000 / CYCLES
    return cpu_ms, [statistics.median(times[WARM_UP:]) for times in taken]


def measure_ours(node: Node, target: Wanted) -> tuple[float, list[float]]:
    with Runtime(CACHE, Limits(), target=target) as runtime, ExitStack() as stack:
        polls = []
        for name in PLUGINS:
            loaded = stack.enter_context(runtime.load(wasm_of(name)))
            instance = PluginInstance(loaded, node.imports(name), Limits(), unheard)
            polls.append(poll_of(loaded, stack.enter_context(instance)))
        return measure(polls)


class Compiled(LoadedComponent):
    """A component that the library compiled in this process, as the peer does."""

    def __init__(self, engine: object, wasm: Path) -> None:
        self.engine = engine  # type: ignore[assignment]
        self.component = Component.from_file(self.engine, wasm)
        self.sha256, self.imports, self.exports, self.wasi = "", {}, {}, []
        self.full_names = {}
        self._read_interfaces(wasm)


def measure_peer(node: Node) -> tuple[float, list[float], float]:
    """Return what `measure` does, and how long one component took to compile in ms."""
    with make_engine() as engine, ExitStack() as stack:
        polls = []
        for name in PLUGINS:
            began_s = time.perf_counter()
            loaded = stack.enter_context(Compiled(engine, wasm_of(name)))
            compile_ms = (time.perf_counter() - began_s) * 1000
            # No clock advances this engine: its guests have no deadline.
            instance = PluginInstance(loaded, node.imports(name), Limits(), unheard)
            polls.append(poll_of(loaded, stack.enter_context(instance)))
        return *measure(polls), compile_ms


class Swapping:
    """A running plugin whose file is replaced while it is beaten."""

    def __init__(self, node: Node, runtime: Runtime, wasm: Path) -> None:
        self.states: list[PluginState] = []
        self.readings = 0
        self.beats = 0
        parts = PluginParts(
            name=SWAPPED,
            runtime=runtime,
            refuse=lambda _interfaces: "",
            make_imports=lambda _get_setting, _effects: node.imports(SWAPPED),
            effects=EffectParts(SWAPPED, Grant(), node.parts.hardware),
            feed=lambda: "{}",
            on_samples=self._count,
        )
        self._wasm = wasm
        self.runner = PluginRunner(parts, lambda: wasm, self.states.append)

    def _count(self, _found: Sequence[Sample], _described: object) -> None:
        self.readings += 1

    def beat(self) -> None:
        self.beats += 1
        began_s = time.perf_counter()
        self.runner.run_cycle(time.monotonic())
        self.runner.wait_idle(1.0)
        time.sleep(max(0.0, BEAT_S - (time.perf_counter() - began_s)))

    def beat_until(self, done: Callable[[], bool]) -> None:
        while not done():
            self.beat()

    def swap(self, component: bytes) -> None:
        before = self.states[-1].sha256
        partial = self._wasm.with_suffix(".new")
        partial.write_bytes(component)
        cache.compiled(partial, CACHE)
        partial.replace(self._wasm)
        self.beat_until(lambda: self.states[-1].sha256 not in ("", before))


def measure_swap(node: Node, directory: Path) -> tuple[float, int]:
    """Return how long a compiled component takes from loading to its trial's end, in ms.

    And how many polls the running one missed over all swaps.
    """
    wasm = directory / f"{SWAPPED}.wasm"
    content = wasm_of(SWAPPED).read_bytes()
    variants = [content, content + b"\x00\x06\x04noteX"]
    wasm.write_bytes(content)
    with Runtime(CACHE, Limits()) as runtime:
        swapping = Swapping(node, runtime, wasm)
        swapping.beat_until(lambda: swapping.states[-1:] != [] and swapping.states[-1].sha256 != "")
        swapping.beats, swapping.readings = 0, 0
        for number in range(SWAPS):
            swapping.swap(variants[(number + 1) % 2])
        swapping.beat()
        # A beat's poll may still run when the next one asks: one is on its way at the end.
        missed = swapping.beats - swapping.readings
        swapping.runner.stop(5.0)
        times = [time_of_load(node, runtime, wasm) for _ in range(10)]
    return statistics.median(times), missed


def time_of_load(node: Node, runtime: Runtime, wasm: Path) -> float:
    """Return what a swap does beside the running life: digest, map, start, first poll; in ms."""
    wasm.touch()
    began_s = time.perf_counter()
    with (
        runtime.load(wasm) as loaded,
        PluginInstance(loaded, node.imports(SWAPPED), Limits(), unheard) as instance,
    ):
        poll_of(loaded, instance)()
        return (time.perf_counter() - began_s) * 1000


def main() -> None:
    for name in PLUGINS:
        for target in Target:
            cache.prepare_directory(CACHE)
            cache.compiled(wasm_of(name), CACHE, target)
    with tempfile.TemporaryDirectory() as directory:
        node = Node(Path(directory))
        swap_ms, missed = measure_swap(node, Path(directory))
        native_ms, native = measure_ours(node, "native")
        bytecode_ms, bytecode = measure_ours(node, "pulley64")
        peer_ms, peer, compile_ms = measure_peer(node)
        shutil.rmtree(directory, ignore_errors=True)
    print(f"{'':<40}{'native':>9}{'pulley64':>10}{'peer':>9}")
    print(f"{'one cycle of four plugins, CPU ms':<40}{native_ms:>9.2f}{bytecode_ms:>10.2f}", end="")
    print(f"{peer_ms:>9.2f}")
    for name, *row in zip(PLUGINS, native, bytecode, peer, strict=True):
        print(f"{f'one poll of {name}, CPU ms':<40}{row[0]:>9.2f}{row[1]:>10.2f}{row[2]:>9.2f}")
    print(f"{'swap of a compiled plugin, ms':<40}{swap_ms:>9.1f}{'':>10}{compile_ms:>9.0f}")
    print(f"polls missed over {SWAPS} swaps: {missed}")
    print("targets: cycle 8 ms CPU, swap 50 ms, no poll missed")
    print("peer: the same components compiled in this process; its swap is one component's compile")


if __name__ == "__main__":
    sys.exit(main())
