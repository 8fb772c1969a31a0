"""Four plugins as bundles, beside the same as components in the same run.

Prints PSS above the bare host in MB, each form in a process of its own; the CPU time from source to
the first poll, without and with kept code; the CPU time of a poll; and the bytes on disk.
"""

import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from bench.plugins import PLUGINS, Node, measure, poll_of, unheard
from harvester.plugins.builder import runtime as bundle_runtime
from harvester.plugins.builder.pack import pack
from harvester.plugins.source import read
from node_agent.sandbox import cache
from node_agent.sandbox.instance import PluginInstance
from node_agent.sandbox.limits import Limits
from node_agent.sandbox.runtime import Runtime
from tests.support import PROJECT

CACHE = PROJECT / ".harvester" / "cache"
WIT = PROJECT / "wit" / "plugin.wit"
FORMS = {"component": "wasm", "bundle": "bundle"}
RUNS = 5
WARM_UP_S = 0.2


def files(form: str) -> list[Path]:
    return [PROJECT / "plugins" / name / f"{name}.{FORMS[form]}" for name in PLUGINS]


def pss_mb() -> float:
    for line in Path("/proc/self/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) / 1024
    return 0.0


def run_form(form: str, count: int) -> None:
    """Print the PSS that the first `count` plugins add, and the median CPU ms of each poll."""
    with (
        tempfile.TemporaryDirectory() as directory,
        Runtime(CACHE, Limits()) as runtime,
        ExitStack() as stack,
    ):
        node = Node(Path(directory))
        bare_mb = pss_mb()
        polls = []
        for name, file in zip(PLUGINS[:count], files(form), strict=False):
            loaded = stack.enter_context(runtime.load(file))
            instance = PluginInstance(loaded, node.imports(name), Limits(), unheard)
            polls.append(poll_of(loaded, stack.enter_context(instance)))
        time.sleep(WARM_UP_S)
        _, taken = measure(polls)
        print(pss_mb() - bare_mb, *taken)


def of_form(form: str, count: int) -> list[float]:
    command = [sys.executable, "-m", "bench.bundles", form, str(count)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=PROJECT)
    return [float(word) for word in done.stdout.split()]


def first_poll_ms(name: str, directory: Path) -> tuple[float, float]:
    """Return the CPU ms from source to first poll: of a new version, and of one seen before."""
    node = Node(directory)
    times: tuple[list[float], list[float]] = ([], [])
    source = read(PROJECT / "plugins" / name)
    file = directory / f"{name}.bundle"
    with Runtime(CACHE, Limits()) as runtime:
        runtime.load(source.bundle).close()
        for _ in range(RUNS):
            for kept in (False, True):
                began_s = time.process_time()
                file.write_bytes(pack(source, WIT))
                with (
                    runtime.load(file) as loaded,
                    PluginInstance(loaded, node.imports(name), Limits(), unheard) as instance,
                ):
                    poll_of(loaded, instance)()
                times[kept].append((time.process_time() - began_s) * 1000)
                if kept:
                    for code in CACHE.glob(f"{loaded.sha256}-*.code"):
                        code.unlink()
    return statistics.median(times[False]), statistics.median(times[True])


def size_mb(paths: list[Path]) -> float:
    return sum(path.stat().st_size for path in paths) / 1e6


def main() -> None:
    if len(sys.argv) > 1:
        run_form(sys.argv[1], int(sys.argv[2]))
        return
    runtime = bundle_runtime.ensure()
    cache.prepare_directory(CACHE)
    compiled = {
        form: [cache.compiled(file, CACHE)[0] for file in files]
        for form, files in (("component", files("component")), ("bundle", [runtime]))
    }
    print(f"{'':<44}{'bundle':>9}{'component':>11}{'ratio':>7}")
    for count in (1, len(PLUGINS)):
        (ours, *taken), (peer, *peers) = of_form("bundle", count), of_form("component", count)
        print(f"{f'PSS of {count}, MB above the bare host':<44}{ours:>9.1f}{peer:>11.1f}", end="")
        print(f"{ours / peer:>7.2f}")
    for name, mine, theirs in zip(PLUGINS, taken, peers, strict=True):
        print(
            f"{f'one poll of {name}, CPU ms':<44}{mine:>9.2f}{theirs:>11.2f}{mine / theirs:>7.2f}"
        )
    ours = size_mb([runtime, *files("bundle"), *compiled["bundle"]])
    peer = size_mb([*files("component"), *compiled["component"]])
    print(f"{'disk, with what is compiled, MB':<44}{ours:>9.1f}{peer:>11.1f}{ours / peer:>7.2f}")
    with tempfile.TemporaryDirectory() as directory:
        for name in PLUGINS:
            new, seen = first_poll_ms(name, Path(directory))
            said = f"source to first poll of {name}, CPU ms"
            print(f"{said:<44}{new:>9.1f}; {seen:.1f} with kept code")
    print("targets: PSS of 4: 0.65 or less; dht22 from source to first poll: 50 ms; disk: 60 MB")
    print("peer: the same plugins as components, built and compiled before")


if __name__ == "__main__":
    main()
