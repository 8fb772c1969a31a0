"""`harvester plugins test`: polls a plugin in the real sandbox and prints every host call."""

import contextlib
import logging
import threading
import time
from collections.abc import Collection, Iterator
from difflib import get_close_matches
from pathlib import Path

import msgspec

from bus.config.settings import Config, Grant
from bus.errors import HarvesterError
from harvester.plugins import manifest
from harvester.plugins.bench import Bench, Guest, Outcome, everything
from harvester.plugins.builder.errors import authors_paths
from harvester.plugins.project import from_here
from harvester.plugins.replay.trace import HostCall, Use, grants_used
from harvester.plugins.source import PluginSource
from harvester.plugins.toml_lines import line_of
from node_agent.hal.simulated.models.load import load
from node_agent.plugins import grants
from node_agent.plugins.readings import Sample
from node_agent.sandbox.bundles.loaded import LoadedPlugin
from node_agent.sandbox.errors import PluginError

# Printed lines of one poll: a plugin may make a million calls.
_MAX_LINES = 200
_CALL_COLUMNS = 76


class Options(msgspec.Struct, frozen=True):
    """Options of a trial; `interval_s` is the time from one poll's start to the next."""

    polls: int
    interval_s: float
    grant_all: bool = False

    def grant(self, config: Config, source: PluginSource) -> Grant:
        if self.grant_all:
            return everything(config, has_own_chips=source.simulation.is_file())
        return config.plugins.grants.get(source.name, Grant())


class Screen:
    """Line printer with a limit of lines between two calls of `begin`."""

    def __init__(self, *, shows_calls: bool) -> None:
        self.shows_calls = shows_calls
        self._lines = 0
        self._order = threading.Lock()
        self.used: set[Use] = set()

    def begin(self) -> None:
        with self._order:
            hidden, self._lines = self._lines - _MAX_LINES, 0
        if hidden > 0:
            print(f"  ... and {hidden} lines more")

    def say(self, kind: str, text: str) -> None:
        self._print(f"  {kind:<8} {text}")

    def call(self, call: HostCall) -> None:
        self.used.add(call.use)
        if self.shows_calls:
            self._print(f"  {f'call     {call}':<{_CALL_COLUMNS}} {call.took_s * 1000:8.2f} ms")

    def _print(self, line: str) -> None:
        with self._order:
            self._lines += 1
            if self._lines <= _MAX_LINES:
                print(line, flush=True)


class _HostLog(logging.Handler):
    """Log handler that prints what the node logs about the plugin, such as a refused call."""

    def __init__(self, screen: Screen) -> None:
        super().__init__(logging.WARNING)
        self._screen = screen

    def emit(self, record: logging.LogRecord) -> None:
        self._screen.say("host", record.getMessage())


@contextlib.contextmanager
def host_log_on(screen: Screen) -> Iterator[None]:
    """Print what the node logs while the context is open."""
    shows, node = _HostLog(screen), logging.getLogger("node_agent")
    node.addHandler(shows)
    try:
        yield
    finally:
        node.removeHandler(shows)


def shown(sample: Sample) -> str:
    values = ", ".join(f"{name} {_number(value)}" for name, value in sample.data.items())
    return f"{sample.sensor_id}: {values}"


def _number(value: object) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def tell(outcome: Outcome, screen: Screen) -> None:
    for sample in outcome.samples:
        screen.say("reading", shown(sample))
    for problem in outcome.problems:
        screen.say("err" if outcome.is_own_err else "WRONG", problem)


def fault_lines(error: HarvesterError, traceback: str, source: PluginSource) -> Iterator[str]:
    """Yield the plugin's traceback, with paths of the author's files, and the error."""
    if traceback:
        yield from_here(authors_paths(traceback, source))
    yield f"{source.name} failed: {error}"


def differences(source: PluginSource, came: Collection[str]) -> Iterator[str]:
    """Yield a line for each value of readings that is not described, and for the reverse.

    None where the plugin describes no value.
    """
    described = source.manifest.fields
    path = from_here(source.directory / manifest.NAME)
    missing = [name for name in described if name not in came]
    for name in came if described else ():
        if name not in described:
            near = get_close_matches(name, missing, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            yield f"{path}: has no [fields.{name}], which is in a reading{hint}"
    text = (source.directory / manifest.NAME).read_text(encoding="utf-8-sig") if missing else ""
    for name in missing:
        line = line_of(text, f"fields.{name}")
        yield f"{path}:{line}: fields.{name}: is in no reading so far"


def own_chips(source: PluginSource) -> str:
    """Return for example `Bh1750 at i2c 0x23`: the simulated chips that have an address."""
    if not source.simulation.is_file():
        return ""
    chips = [chip for chip in load(source.simulation.resolve()).chips if chip.bus == "i2c"]
    return ", ".join(f"{chip.name} at {chip.bus} {' '.join(chip.places)}" for chip in chips)


def run(
    source: PluginSource, file: Path, config: Config, cache_dir: Path, options: Options
) -> bool:
    """Poll a plugin from its file, print calls and readings; return whether it succeeded.

    Raises ComponentError where it does not load or lacks a grant.
    """
    screen = Screen(shows_calls=True)
    with (
        host_log_on(screen),
        Bench(config, cache_dir, screen.say) as bench,
        bench.runtime.load(file) as loaded,
    ):
        print(f"{source.name}: {source.manifest.world}, {loaded.runs_as}")
        grant = options.grant(config, source)
        try:
            guest = bench.start(source.name, loaded, grant, screen.call)
        except PluginError as e:
            if not e.traceback:
                raise
            print(*fault_lines(e, e.traceback, source), sep="\n")
            return False
        with guest:
            did_well = _Trial(bench, guest, source, screen).run(options)
        if options.grant_all and did_well:
            print(_advice(source.name, loaded, screen))
        return did_well


class _Trial:
    """Polls of one instance, and their totals."""

    def __init__(self, bench: Bench, guest: Guest, source: PluginSource, screen: Screen) -> None:
        self._bench = bench
        self._guest = guest
        self._source = source
        self._screen = screen
        self._readings = self._errs = 0
        # Names of values in the order in which they came.
        self._came: dict[str, None] = {}
        self._mistakes = 0
        self._slowest_s = 0.0

    def run(self, options: Options) -> bool:
        waiting = threading.Event()
        for number in range(1, options.polls + 1):
            self._screen.begin()
            print(f"poll {number}")
            began_s = time.monotonic()
            try:
                self._poll()
            except PluginError as e:
                print(*fault_lines(e, self._guest.traceback, self._source), sep="\n")
                return False
            if number < options.polls:
                waiting.wait(max(0.0, began_s + options.interval_s - time.monotonic()))
        self._screen.begin()
        return self._sum_up(options.polls)

    def _poll(self) -> None:
        outcome = self._guest.poll()
        tell(outcome, self._screen)
        self._bench.show_leds()
        self._screen.say("took", f"{outcome.took_s * 1000:.1f} ms")
        self._readings += len(outcome.samples)
        self._came |= dict.fromkeys(name for sample in outcome.samples for name in sample.data)
        self._errs += outcome.is_own_err
        self._mistakes += 0 if outcome.is_own_err else len(outcome.problems)
        self._slowest_s = max(self._slowest_s, outcome.took_s)

    @property
    def _is_due(self) -> bool:
        """Whether there must be a reading: not where a plugin without values told no err."""
        has_values = self._source.manifest.fields or not self._guest.may_be_empty
        return self._guest.brings_readings and bool(has_values or self._errs)

    def _sum_up(self, polls: int) -> bool:
        """Print the totals; return whether there were readings, if any are due, and no mistakes."""
        deadline_s = self._bench.runtime.limits_of(self._source.name).deadline_s
        print(
            f"polls {polls}, readings {self._readings}, slowest {self._slowest_s * 1000:.1f} ms "
            f"of {deadline_s * 1000:.0f} ms"
        )
        if self._is_due and not self._readings:
            if chips := own_chips(self._source):
                print(f"simulated.py has {chips}")
            print(f"{self._source.name} failed: no reading")
            return False
        print(*(f"{line}\n" for line in differences(self._source, self._came)), sep="", end="")
        if self._mistakes:
            print(f"{self._source.name} failed: what it returned was wrong {self._mistakes} times")
        return not self._mistakes


def _advice(name: str, loaded: LoadedPlugin, screen: Screen) -> str:
    lines = grants_used(screen.used, grants.needed(loaded.imports))
    if not lines:
        return "it needs no grants"
    head = "grants for what it used, for the node's configuration:\n"
    return "\n".join((head, f"[plugins.grants.{name}]", *lines))
