"""One life of one plugin: a thread that loads the component and polls it until it fails or stops.

It knows no other life: restarts and reloads are the runner's part.
"""

import enum
import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from bus.client.node_log import plugin_logger
from bus.clock import now_ms
from bus.errors import BadDataError, HarvesterError
from bus.fault import Fault
from node_agent.plugins.line_quota import LineQuota
from node_agent.plugins.readings import Sample, samples
from node_agent.sandbox.component import LoadedComponent
from node_agent.sandbox.errors import ComponentError
from node_agent.sandbox.instance import Imports, PluginInstance
from node_agent.sandbox.runtime import Runtime

logger = logging.getLogger(__name__)

# How an agent calls an exported interface: by the function that it finds there.
POLL = "poll"
UPDATE = "update"
# Of one poll, in its plugin's state.
_MAX_PROBLEMS = 5


class Phase(enum.Enum):
    LOADING = "loading"
    RUNNING = "running"
    ENDED = "ended"


class PluginParts(msgspec.Struct, frozen=True):
    """What a plugin's lives share."""

    name: str
    runtime: Runtime
    # Returns the sentence that refuses a component with these imports, or nothing.
    refuse: Callable[[list[str]], str]
    make_imports: Callable[[], Imports]
    feed: Callable[[], str]
    on_samples: Callable[[list[Sample]], None]


class PluginThread:
    """A life, from `start` until `phase` is ENDED; `error` says why unless it was stopped.

    One on trial polls as any other, but its readings count only from when `on_trial` is cleared.
    """

    def __init__(
        self, parts: PluginParts, wasm: Path, quota: LineQuota, *, on_trial: bool = False
    ) -> None:
        self._parts = parts
        self._wasm = wasm
        self._quota = quota
        self._limits = parts.runtime.limits_of(parts.name)
        self.on_trial = on_trial
        self._beat = threading.Event()
        self._idle = threading.Event()
        self._stopping = self._abandoned = False
        self._busy_since_s: float | None = None
        self._last_line = ""
        self._fault = ""
        self._trouble = Fault(f"plugin {parts.name}")
        self.phase = Phase.LOADING
        self.polled = threading.Event()
        self.error = ""
        self.traceback = ""
        self.sha256 = ""
        self.loaded_ms = 0
        self._thread = threading.Thread(target=self._live, name=f"plugin-{parts.name}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def beat(self) -> None:
        """Ask for one poll, unless the last one still runs."""
        if self._busy_since_s is None:
            self._idle.clear()
            self._beat.set()

    def wait_idle(self, timeout_s: float) -> bool:
        """Wait for the poll that was asked for; return whether it is over."""
        return self.phase is not Phase.RUNNING or self._idle.wait(timeout_s)

    def busy_s(self) -> float:
        """Return how long the poll that runs now has run, 0 where none does."""
        since_s = self._busy_since_s
        return 0.0 if since_s is None else time.monotonic() - since_s

    @property
    def fault(self) -> str:
        """What was wrong with the last poll, in the plugin's own last words; else nothing."""
        return self._fault

    def stop(self, timeout_s: float = 0.0) -> None:
        """Let the life end after its current poll; wait for that for a while."""
        self._stopping = True
        self._beat.set()
        if timeout_s:
            self._thread.join(timeout_s)

    def abandon(self) -> None:
        """Stop, and let nothing count that it may still return: its successor has begun by then."""
        self._abandoned = True
        self.stop()

    def _live(self) -> None:
        try:
            with self._parts.runtime.load(self._wasm) as loaded:
                self._check(loaded)
                imports = self._parts.make_imports()
                with PluginInstance(loaded, imports, self._limits, self._say) as instance:
                    self._serve(loaded, instance)
        except HarvesterError as e:
            self.error = str(e)
        except Exception as e:
            logger.exception("plugin %s: the host failed", self._parts.name)
            self.error = f"the host failed: {e!r}"
        finally:
            self.phase = Phase.ENDED
            self._idle.set()

    def _check(self, loaded: LoadedComponent) -> None:
        self.sha256 = loaded.sha256
        refused = self._parts.refuse(list(loaded.imports))
        if refused:
            raise ComponentError(refused)
        logger.info(
            "plugin %s: %s runs as %s", self._parts.name, loaded.sha256[:12], loaded.runs_as
        )

    def _serve(self, loaded: LoadedComponent, instance: PluginInstance) -> None:
        interface, function = entry(loaded)
        self.loaded_ms = now_ms()
        self.phase = Phase.RUNNING
        while True:
            self._beat.wait()
            self._beat.clear()
            if self._stopping:
                return
            self._busy_since_s = time.monotonic()
            try:
                self._poll(instance, interface, function)
            finally:
                self.traceback = instance.traceback
                self._busy_since_s = None
                self._idle.set()

    def _poll(self, instance: PluginInstance, interface: str, function: str) -> None:
        if function == UPDATE:
            instance.call(interface, function, self._parts.feed())
        else:
            self._hand_over(instance.call(interface, function))
        self.polled.set()

    def _hand_over(self, polled: object) -> None:
        problems: list[str] = []
        try:
            found = samples(polled, self._parts.name, problems.append)
        except BadDataError as e:
            found = []
            problems.append(str(e))
        said = "; ".join(problems[:_MAX_PROBLEMS])
        if said:
            self._trouble.failed(said)
        elif found:
            self._trouble.worked()
        # A plugin that returns nothing has logged why by itself.
        self._fault = said if found or said else self._last_line or "returned no reading"
        # One that was asked to stop has returned these all the same.
        if not (self._abandoned or self.on_trial):
            self._parts.on_samples(found)

    def _say(self, line: str) -> None:
        self._last_line = line
        if self._quota.admit(time.monotonic()):
            plugin_logger(self._parts.name).info("%s", line)


def entry(loaded: LoadedComponent) -> tuple[str, str]:
    """Return the interface and function that an agent calls once a cycle."""
    for interface, functions in loaded.exports.items():
        for function in (POLL, UPDATE):
            if function in functions:
                return interface, function
    raise ComponentError(
        f"the plugin exports {', '.join(loaded.exports)}; expected an interface with {POLL}() "
        f"or {UPDATE}()"
    )
