"""CPU time of a poll with the flight recorder, beside the same poll without one.

Prints, for each of the Pi 4's plugins as a bundle, the median CPU time of a poll in ms with and
without, their ratio, and the polls that fit into the default ring. Polls alternate, so that both
meet the same machine.
"""

import statistics
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from bench.plugins import CACHE, FEED, PLUGINS, Node, unheard
from node_agent.recorder.instance import RecordedInstance
from node_agent.recorder.recorder import Recorder
from node_agent.sandbox.bundles.loaded import LoadedPlugin, entry
from node_agent.sandbox.instance import PluginInstance
from node_agent.sandbox.limits import Limits
from node_agent.sandbox.runtime import Runtime
from node_agent.sandbox.wasi.sources import LiveSources
from tests.support import PROJECT

LIMITS = Limits(deadline_s=30.0, load_deadline_s=60.0)
POLLS = 200
WARM_UP = 20
RING_BYTES = 256 * 1024


def cpu_ms(instance: PluginInstance, loaded: LoadedPlugin) -> float:
    interface, function = entry(loaded)
    arguments = (FEED,) if function == "update" else ()
    began_ns = time.thread_time_ns()
    instance.call(interface, function, *arguments)
    return (time.thread_time_ns() - began_ns) / 1e6


def measure(name: str, runtime: Runtime, node: Node) -> str:
    with ExitStack() as stack:
        loaded = runtime.load(PROJECT / "plugins" / name / f"{name}.bundle")
        stack.callback(loaded.close)
        recorder = Recorder(RING_BYTES)
        plain = stack.enter_context(PluginInstance(loaded, node.imports(name), LIMITS, unheard))
        recorded = stack.enter_context(
            RecordedInstance(
                *(loaded, node.imports(name), LIMITS, unheard),
                sources=LiveSources(),
                recorder=recorder,
            )
        )
        times: dict[PluginInstance, list[float]] = {plain: [], recorded: []}
        for _ in range(POLLS):
            for instance, taken in times.items():
                taken.append(cpu_ms(instance, loaded))
        without, with_it = (statistics.median(taken[WARM_UP:]) for taken in times.values())
        # The first quarter of the ring is full after fewer polls than were made.
        mean_bytes = recorder.kept_bytes / POLLS
        return (
            f"{name:<14} {with_it:8.3f} {without:8.3f} {with_it / without:7.2f}"
            f" {RING_BYTES / mean_bytes:8.0f}"
        )


def main() -> None:
    print(f"{'plugin':<14} {'with ms':>8} {'without':>8} {'ratio':>7} {'polls':>8}")
    with (
        tempfile.TemporaryDirectory() as directory,
        Runtime(CACHE, LIMITS) as runtime,
    ):
        node = Node(Path(directory))
        for name in PLUGINS:
            print(measure(name, runtime, node), flush=True)


if __name__ == "__main__":
    main()
