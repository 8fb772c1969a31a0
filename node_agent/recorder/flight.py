"""Flight recorder of a plugin's thread: starts the instance with it, and keeps its record."""

from collections.abc import Callable

import msgspec

from bus.clock import now_ms
from bus.contract.messages import RecordReason
from node_agent.recorder.instance import RecordedInstance, States
from node_agent.recorder.kept import KeptRecords
from node_agent.recorder.record_file import Plugin, Record
from node_agent.recorder.recorder import Recorder
from node_agent.recorder.shadow import Shadow
from node_agent.sandbox.bundles.bundle import LoadedBundle
from node_agent.sandbox.bundles.loaded import LoadedPlugin
from node_agent.sandbox.instance import Imports
from node_agent.sandbox.limits import Limits
from node_agent.sandbox.wasi.sources import LiveSources

# A larger bundle leaves no room in a record for its polls.
_MAX_BUNDLE_BYTES = 48 * 1024


class FlightParts(msgspec.Struct, frozen=True):
    """The parts that all flight recorders of one plugin share."""

    node: str
    plugin: str
    limit_bytes: int
    kept: KeptRecords
    states: States = msgspec.field(default_factory=States)

    def open(self) -> "FlightRecorder":
        """Return the recorder of one instance."""
        return FlightRecorder(self)

    def send_last(self) -> None:
        """Send the last record again: nothing runs now."""
        self.kept.again(self.plugin)


class FlightRecorder:
    """Recorder of one instance. The plugin's thread calls `start`; any thread `keep`."""

    def __init__(self, parts: FlightParts) -> None:
        self._parts = parts
        self._recorder = Recorder(parts.limit_bytes)
        self._loaded: LoadedPlugin | None = None
        self._instance: RecordedInstance | None = None
        self._limits = Limits()

    def start(
        self,
        loaded: LoadedPlugin,
        imports: Imports,
        limits: Limits,
        on_line: Callable[[str], None],
    ) -> RecordedInstance:
        """Start the instance, recorded. Raises as PluginInstance does."""
        self._loaded, self._limits = loaded, limits
        self._instance = RecordedInstance(
            loaded,
            imports,
            limits,
            on_line,
            sources=LiveSources(),
            recorder=self._recorder,
            states=self._parts.states,
        )
        return self._instance

    def offer_to(self, shadow: Shadow) -> None:
        """Let a shadow run poll on what the last poll recorded."""
        if self._instance is not None:
            shadow.offer(self._instance.last_step, self._recorder.steps)

    def keep(self, reason: RecordReason, fault: str) -> None:
        """Keep what was recorded, unless the plugin never started or has just kept another.

        It is copied at once, and encoded by another thread.
        """
        loaded, parts = self._loaded, self._parts
        if loaded is None or not parts.kept.is_due(parts.plugin, loaded.sha256, reason):
            return
        made_ms, plugin, unpack = now_ms(), _described(parts.plugin, loaded), self._recorder.copy()
        parts.kept.keep_later(
            parts.plugin,
            lambda: Record(
                parts.node,
                plugin,
                reason,
                fault,
                made_ms,
                self._limits,
                unpack(),
            ),
        )


def _described(name: str, loaded: LoadedPlugin) -> Plugin:
    version = loaded.description().version
    if not isinstance(loaded, LoadedBundle):
        return Plugin(name, loaded.sha256, version)
    content = loaded.content if len(loaded.content) <= _MAX_BUNDLE_BYTES else None
    return Plugin(name, loaded.sha256, version, loaded.runtime_sha256, content, loaded.had_code)
