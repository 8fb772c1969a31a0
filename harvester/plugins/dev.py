"""`harvester plugins dev`: watches a plugin; what was saved is built, swapped in and polled.

Threads: the caller's polls and prints; one other waits for the process that builds, so that the old
component keeps running.
"""

import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import FrameType
from typing import Self

import msgspec

from bus.config.settings import Config, Grant
from bus.errors import HarvesterError
from harvester.plugins import manifest
from harvester.plugins.bench import Bench, Guest, everything
from harvester.plugins.builder.build import outdated
from harvester.plugins.builder.build_process import BuildProcess
from harvester.plugins.project import from_here
from harvester.plugins.source import PluginSource, python_files, read
from harvester.plugins.trial import Screen, fault_lines, host_log_on, tell
from node_agent.sandbox.component import LoadedComponent
from node_agent.sandbox.errors import PluginError

# How soon a save is noticed.
_LOOK_S = 0.2

Stamps = dict[Path, tuple[int, int]]


class Options(msgspec.Struct, frozen=True):
    """`load_config` reads the configuration anew; `interval_s` None is what that says.

    What is simulated begins anew when the plugin's `simulated.py` or one of `scenarios` is saved.
    """

    load_config: Callable[[], Config]
    config_path: Path | None
    interval_s: float | None
    grant_all: bool
    shows_calls: bool
    scenarios: tuple[Path, ...] = ()


def run(source: PluginSource, wit: Path, cache_dir: Path, options: Options) -> None:
    """Work until Ctrl-C or SIGTERM. Raises MisconfiguredError where the configuration is wrong."""
    stopping = threading.Event()

    def stop(_signal: int, _frame: FrameType | None) -> None:
        stopping.set()

    signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGTERM, stop)
    screen = Screen(shows_calls=options.shows_calls)
    config = options.load_config()
    with (
        host_log_on(screen),
        Bench(config, cache_dir, screen.say) as bench,
        _Workshop(bench, source, wit, options, screen) as workshop,
    ):
        _say(f"watching {from_here(source.directory)}; Ctrl-C ends it")
        while not stopping.is_set():
            workshop.step(time.monotonic())
            stopping.wait(_LOOK_S)
    print("stopped")


class _Running(msgspec.Struct, frozen=True):
    """A component and its instance."""

    loaded: LoadedComponent
    guest: Guest

    def close(self) -> None:
        self.guest.close()
        self.loaded.close()


class _Workshop:
    """One plugin between its source and its readings."""

    def __init__(
        self, bench: Bench, source: PluginSource, wit: Path, options: Options, screen: Screen
    ) -> None:
        self._bench = bench
        self._source = source
        self._wit = wit
        self._options = options
        self._screen = screen
        self._interval_s = options.interval_s or bench.config.polling.interval_seconds
        self._seen: Stamps = {}
        self._seen_simulation = _stamps(self._simulation())
        self._builder = ThreadPoolExecutor(1, "builder")
        self._building: Future[LoadedComponent] | None = None
        self._process: BuildProcess | None = None
        self._is_closing = False
        self._running: _Running | None = None
        self._due_s = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._is_closing = True
        if self._process is not None:
            self._process.cancel()
        self._builder.shutdown()
        if self._building is not None and self._building.exception() is None:
            self._building.result().close()
        if self._running is not None:
            self._running.close()

    def step(self, now_s: float) -> None:
        """Do what is due: notice a save, take what was built, poll."""
        self._notice()
        self._notice_simulation()
        if self._building is not None and self._building.done():
            done, self._building = self._building, None
            self._take(done)
        if self._running is not None and now_s >= self._due_s:
            self._due_s = now_s + self._interval_s
            self._poll(self._running)

    def _notice(self) -> None:
        if self._building is not None:
            return
        found = _stamps(self._watched())
        if found != self._seen:
            self._seen = found
            self._building = self._builder.submit(self._make)

    def _notice_simulation(self) -> None:
        """Begin the simulation anew where it was saved, with a fresh instance of the plugin."""
        found = _stamps(self._simulation())
        if found == self._seen_simulation:
            return
        self._seen_simulation = found
        try:
            self._bench.plug_in(self._options.load_config())
        except HarvesterError as e:
            _say(f"{from_here(e)}; the old simulation runs on")
            return
        _say("the simulation begins anew")
        if self._running is not None:
            self._restart(self._running)

    def _restart(self, running: _Running) -> None:
        """Start the same component again; nothing runs where its grants are no longer enough."""
        running.guest.close()
        self._running = None
        try:
            self._running = self._start(running.loaded)
        except HarvesterError as e:
            print(from_here(e), flush=True)
            self._keep()

    def _simulation(self) -> Iterator[Path]:
        yield from (self._source.simulation, *self._options.scenarios)

    def _watched(self) -> Iterator[Path]:
        yield from python_files(self._source)
        yield from (self._source.directory / manifest.NAME, self._wit)
        if self._options.config_path is not None:
            yield self._options.config_path

    # Runs on the builder's thread.
    def _make(self) -> LoadedComponent:
        self._source = read(self._source.directory)
        if outdated([self._source], self._wit):
            _say(f"building {self._source.name}")
            self._process = process = BuildProcess(self._source.directory, self._wit)
            if self._is_closing:
                process.cancel()
            _say(f"built in {process.wait():.1f} s, compiling")
        return self._bench.runtime.load(self._source.wasm)

    def _take(self, done: "Future[LoadedComponent]") -> None:
        """Poll a new component once, and let it take over if it can."""
        try:
            candidate = self._start(done.result())
        except HarvesterError as e:
            print(from_here(e), flush=True)
            self._keep()
            return
        if self._poll(candidate):
            before, self._running = self._running, candidate
            if before is not None:
                before.close()
            self._due_s = time.monotonic() + self._interval_s
        else:
            self._keep()

    def _start(self, loaded: LoadedComponent) -> _Running:
        try:
            config, name = self._options.load_config(), self._source.name
            grant = config.plugins.grants.get(name, Grant())
            if self._options.grant_all:
                grant = everything(config, has_own_chips=self._source.simulation.is_file())
            guest = self._bench.start(name, loaded, grant, self._screen.call)
        except HarvesterError:
            loaded.close()
            raise
        _say(f"loaded {loaded.sha256[:12]}")
        return _Running(loaded, guest)

    def _poll(self, polled: _Running) -> bool:
        """Poll and print; a component that failed is closed."""
        self._screen.begin()
        try:
            outcome = polled.guest.poll()
        except PluginError as e:
            print(*fault_lines(e, polled.guest.traceback, self._source), sep="\n", flush=True)
            polled.close()
            if polled is self._running:
                self._running = None
                self._keep()
            return False
        tell(outcome, self._screen)
        self._bench.show_leds()
        return True

    def _keep(self) -> None:
        rest = "waiting for a change" if self._running is None else "the old one runs on"
        _say(rest)


def _stamps(files: Iterator[Path]) -> Stamps:
    found: Stamps = {}
    for file in files:
        try:
            status = file.stat()
        except OSError:
            continue
        found[file] = status.st_mtime_ns, status.st_size
    return found


def _say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", flush=True)
