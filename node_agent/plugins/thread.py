"""Thread of one plugin: loads the component and polls it until it fails or is stopped.

It is never restarted: restarts and reloads, each with a new thread, are the runner's part.
"""

import enum
import logging
import threading
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import msgspec

from bus.clock import now_ms
from bus.contract.description import PluginDescription
from bus.contract.messages import RecordReason
from bus.errors import HarvesterError
from bus.limited_log import LimitedLog
from node_agent.descriptions.plugin_settings import GetSetting, PluginSettings
from node_agent.host_functions.effects import EffectParts, Effects
from node_agent.plugins.poll_output import OnSamples, PollOutput
from node_agent.plugins.poll_signal import PollSignal
from node_agent.plugins.sensor_owners import SensorOwners
from node_agent.recorder.costs import CostMeter
from node_agent.recorder.flight import FlightParts
from node_agent.recorder.shadow import Shadow
from node_agent.sandbox.bundles.loaded import UPDATE, LoadedPlugin, entry, may_be_empty
from node_agent.sandbox.errors import ComponentError, PluginError
from node_agent.sandbox.instance import Imports, PluginInstance
from node_agent.sandbox.limits import Limits
from node_agent.sandbox.runtime import Runtime

logger = logging.getLogger(__name__)


class Phase(enum.Enum):
    """State of a plugin's thread."""

    LOADING = "loading"
    RUNNING = "running"
    ENDED = "ended"


class PluginParts(msgspec.Struct, frozen=True):
    """The parts of one plugin that all its threads share."""

    name: str
    runtime: Runtime
    # Returns the sentence that refuses a component with these imports, or nothing.
    refuse: Callable[[list[str]], str]
    make_imports: Callable[[GetSetting, Effects], Imports]
    effects: EffectParts
    feed: Callable[[], str]
    on_samples: OnSamples
    # Brings what the plugin keeps to the disk, without waiting for it.
    save_state: Callable[[], object] = lambda: None
    owners: SensorOwners = msgspec.field(default_factory=SensorOwners)
    settings: PluginSettings = msgspec.field(default_factory=PluginSettings)
    # Switches off what the plugin has switched on.
    darken: Callable[[], object] = lambda: None
    # Returns the sentence that refuses what was loaded from a file, by its sha256, or nothing.
    admit: Callable[[Path, str], str] = lambda _path, _sha256: ""
    costs: CostMeter = msgspec.field(default_factory=CostMeter)
    flight: FlightParts | None = None

    def refusal(self, path: Path, loaded: LoadedPlugin) -> str:
        """Return the sentence that refuses what was loaded from a file, or nothing."""
        return (
            self.admit(path, loaded.sha256)
            or self.refuse(list(loaded.imports))
            or self.settings.refusal(loaded.description().settings)
        )


class PluginThread:
    """Runs one component, from `start` until `phase` is ENDED.

    The plugin's thread writes `phase`, `error`, `traceback`, `sha256` and `loaded_ms`; the cycle's
    thread reads them. `error` is the reason of the end; it is empty after a stop. `is_published`:
    the readings are passed on; those of a component on trial are not.
    """

    def __init__(
        self, parts: PluginParts, wasm: Path, log: LimitedLog, *, is_published: bool = True
    ) -> None:
        self._parts = parts
        self._wasm = wasm
        self._signal = PollSignal()
        self._output = PollOutput(
            parts.name,
            parts.on_samples,
            log,
            owners=parts.owners,
            is_published=is_published,
            on_refusal=parts.settings.refused_by_plugin,
        )
        self._effects = parts.effects.open(is_live=is_published)
        self._flight = parts.flight.open() if parts.flight is not None else None
        # What the component says of itself.
        self._said = PluginDescription()
        self.phase = Phase.LOADING
        self.has_polled = threading.Event()
        self.error = ""
        self.traceback = ""
        self.sha256 = ""
        self.loaded_ms = 0
        # Polls that returned what they should, and the others.
        self.good_polls = self.bad_polls = 0
        # Good polls without a reading: nothing was new.
        self.empty_polls = 0
        # Takes each poll, where another version runs in its shadow.
        self.shadow: Shadow | None = None
        # The address of the guest's memory.
        self._memory: int | None = None
        # While the guest imports a bundle, which runs its author's code.
        self._loading_since_s: float | None = None
        self._thread = threading.Thread(target=self._run, name=f"plugin-{parts.name}", daemon=True)

    # The cycle's thread calls these.

    @property
    def path(self) -> Path:
        """The file that was loaded."""
        return self._wasm

    def start(self) -> None:
        self._thread.start()

    def request_poll(self) -> None:
        """Ask for one poll, unless the last one still runs."""
        self._signal.request()

    def wait_idle(self, timeout_s: float) -> bool:
        """Wait for the end of the requested poll; return whether it came in time."""
        return self.phase is not Phase.RUNNING or self._signal.wait_idle(timeout_s)

    def busy_s(self) -> float:
        """Return for how long the present poll or load has run, 0 where none runs."""
        since_s = self._loading_since_s
        return self._signal.busy_s() if since_s is None else time.monotonic() - since_s

    def overdue_s(self) -> float:
        """Return for how long the present poll or load has gone on beyond its deadline.

        Negative until then.
        """
        limits = self._parts.runtime.limits_of(self._parts.name)
        # Read once: a load that ends meanwhile is not to be measured by the deadline of a poll.
        since_s = self._loading_since_s
        if since_s is None:
            return self._signal.busy_s() - limits.deadline_s
        return time.monotonic() - since_s - limits.load_deadline_s

    @property
    def fault(self) -> str:
        """The problem of the last poll, in the plugin's own last words; empty without one."""
        return self._output.fault

    @property
    def full_polls(self) -> int:
        """The number of good polls with a reading, or of a display."""
        return self.good_polls - self.empty_polls

    @property
    def version(self) -> str:
        """The version that the component's author gave it, empty where it has none."""
        return self._said.version

    def keep_record(self, reason: RecordReason, fault: str = "") -> None:
        """Keep what the flight recorder has, where there is one."""
        if self._flight is not None:
            self._flight.keep(reason, fault)

    def measure_memory(self, sizes: Mapping[int, int]) -> None:
        """Note the size of the guest's memory, by the sizes of all memories."""
        if self._memory is not None:
            self._parts.costs.saw_memory(sizes.get(self._memory, 0))

    def publish(self) -> None:
        """Pass the readings on from now on: the component's trial is over."""
        self._effects.go_live()
        self._parts.settings.adopt(self._said.settings, self._said.fields)
        self._output.publish()

    def retire(self) -> None:
        """Drive no output and publish no event any more: another thread takes over."""
        self._effects.retire()

    def release_outputs(self) -> None:
        """Bring the plugin's outputs to their safe levels, where they stay."""
        self._effects.end()

    def stop(self, timeout_s: float = 0.0) -> None:
        """End after the present poll, whose readings still count; wait up to `timeout_s`."""
        self._signal.stop()
        if timeout_s:
            self._thread.join(timeout_s)

    def abandon(self) -> None:
        """Stop, and drop whatever a poll may still return: another thread has taken over."""
        self._output.is_published = False
        self._effects.end()
        self.stop()

    # The plugin's thread runs these.

    def _run(self) -> None:
        limits = self._parts.runtime.limits_of(self._parts.name)
        try:
            with self._parts.runtime.load(self._wasm) as loaded:
                self._check(loaded)
                get_setting = partial(self._parts.settings.get, self._said.settings)
                imports = self._parts.make_imports(get_setting, self._effects)
                with self._started(loaded, imports, limits) as instance:
                    self._serve(loaded, instance)
        except HarvesterError as e:
            self.error = str(e)
            self.keep_record("fault", self.error)
        except Exception as e:
            logger.exception("plugin %s: the host failed", self._parts.name)
            self.error = f"the host failed: {e!r}"
        finally:
            self._effects.end()
            self._parts.owners.has_polled(self._parts.name)
            self.phase = Phase.ENDED
            self._signal.end()

    def _started(self, loaded: LoadedPlugin, imports: Imports, limits: Limits) -> PluginInstance:
        self._loading_since_s = time.monotonic()
        try:
            return self._instance(loaded, imports, limits)
        except PluginError as e:
            self.traceback = e.traceback
            raise
        finally:
            self._loading_since_s = None

    def _instance(self, loaded: LoadedPlugin, imports: Imports, limits: Limits) -> PluginInstance:
        if self._flight is None:
            return PluginInstance(loaded, imports, limits, self._output.log_line)
        return self._flight.start(loaded, imports, limits, self._output.log_line)

    def _check(self, loaded: LoadedPlugin) -> None:
        self.sha256 = loaded.sha256
        said = self._said = loaded.description()
        self._output.described = said.fields
        settings = self._parts.settings
        if refused := self._parts.refusal(self._wasm, loaded):
            raise ComponentError(refused)
        if self._output.is_published:
            settings.adopt(said.settings, said.fields)
        logger.info(
            "plugin %s: %s runs as %s", self._parts.name, loaded.sha256[:12], loaded.runs_as
        )

    def _serve(self, loaded: LoadedPlugin, instance: PluginInstance) -> None:
        interface, function = entry(loaded)
        self._output.may_be_empty = may_be_empty(interface)
        self.loaded_ms = now_ms()
        self._memory = instance.memory
        self.phase = Phase.RUNNING
        while self._signal.wait_for_request():
            with self._signal.polling():
                began_s, failed = time.monotonic(), True
                try:
                    self._poll(instance, interface, function)
                    failed = bool(self._output.problem)
                finally:
                    self.traceback = instance.traceback
                    took_s = time.monotonic() - began_s
                    self._parts.costs.polled(took_s, instance.host_calls, failed=failed)
                    if self.shadow is not None and self._flight is not None:
                        self._flight.offer_to(self.shadow)

    def _poll(self, instance: PluginInstance, interface: str, function: str) -> None:
        self._effects.begin_poll()
        if function == UPDATE:
            instance.call(interface, function, self._parts.feed())
            self._parts.owners.has_polled(self._parts.name)
        else:
            before = self._output.problem
            self._output.accept(instance.call(interface, function))
            if self._output.problem and not before:
                self.keep_record("problem", self._output.problem)
        if self.fault:
            self.bad_polls += 1
        else:
            self.empty_polls += self._output.is_empty
            self.good_polls += 1
        self.has_polled.set()
