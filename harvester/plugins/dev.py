"""`harvester plugins dev`: watches a plugin; what was saved is packed, swapped in and polled."""

import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Self

import msgspec

from bus.config.settings import Config, Grant
from bus.errors import HarvesterError
from harvester.plugins import manifest
from harvester.plugins.bench import Bench, Guest, everything
from harvester.plugins.builder.pack import pack, write_changed
from harvester.plugins.project import from_here
from harvester.plugins.source import PluginSource, python_files, read
from harvester.plugins.trial import Screen, fault_lines, host_log_on, tell
from node_agent.sandbox.bundles.loaded import LoadedPlugin
from node_agent.sandbox.errors import PluginError

# How soon a save is noticed.
_LOOK_S = 0.05

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
    """A bundle and its instance."""

    loaded: LoadedPlugin
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
        self._running: _Running | None = None
        self._due_s = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._running is not None:
            self._running.close()

    def step(self, now_s: float) -> None:
        """Do what is due: take what was saved, poll."""
        self._notice()
        self._notice_simulation()
        if self._running is not None and now_s >= self._due_s:
            self._due_s = now_s + self._interval_s
            self._poll(self._running)

    def _notice(self) -> None:
        found = _stamps(self._watched())
        if found != self._seen:
            self._seen = found
            self._take_saved()

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
        """Start the same bundle again; nothing runs where its grants are no longer enough."""
        running.guest.close()
        self._running = None
        try:
            self._running = self._start(running.loaded)
        except HarvesterError as e:
            self._tell_failure(e)

    def _simulation(self) -> Iterator[Path]:
        yield from (self._source.simulation, *self._options.scenarios)

    def _watched(self) -> Iterator[Path]:
        yield from python_files(self._source)
        yield from (self._source.directory / manifest.NAME, self._wit)
        if self._options.config_path is not None:
            yield self._options.config_path

    def _take_saved(self) -> None:
        """Pack what was saved, poll it once, and let it take over if it can."""
        try:
            self._source = read(self._source.directory)
            write_changed(self._source.bundle, pack(self._source, self._wit))
            candidate = self._start(self._bench.runtime.load(self._source.bundle))
        except HarvesterError as e:
            self._tell_failure(e)
            return
        if self._poll(candidate, shows_calls=True):
            before, self._running = self._running, candidate
            if before is not None:
                before.close()
            self._due_s = time.monotonic() + self._interval_s
        else:
            self._keep()

    def _tell_failure(self, error: HarvesterError) -> None:
        traceback = error.traceback if isinstance(error, PluginError) else ""
        if traceback:
            print(*fault_lines(error, traceback, self._source), sep="\n", flush=True)
        else:
            print(from_here(error), flush=True)
        self._keep()

    def _start(self, loaded: LoadedPlugin) -> _Running:
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

    def _poll(self, polled: _Running, *, shows_calls: bool = False) -> bool:
        """Poll and print; a plugin that failed is closed."""
        self._screen.begin()
        self._screen.shows_calls = shows_calls or self._options.shows_calls
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
        if shows_calls:
            self._screen.say("took", f"{outcome.took_s * 1000:.1f} ms")
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
