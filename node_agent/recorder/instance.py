"""Instance of a plugin whose every step is recorded."""

from collections.abc import Callable
from typing import Any

from node_agent.recorder.events import Failed, Returned, Step, to_plain
from node_agent.recorder.hooks import RecordedSources, recorded
from node_agent.recorder.recorder import Recorder
from node_agent.sandbox.bundles.loaded import LoadedPlugin
from node_agent.sandbox.errors import PluginError
from node_agent.sandbox.instance import Imports, PluginInstance
from node_agent.sandbox.limits import Limits
from node_agent.sandbox.wasi.sources import WasiSources


class RecordedInstance(PluginInstance):
    """A started guest with a flight recorder."""

    def __init__(  # noqa: PLR0913 - as PluginInstance, with its recorder
        self,
        loaded: LoadedPlugin,
        imports: Imports,
        limits: Limits,
        on_line: Callable[[str], None],
        *,
        sources: WasiSources,
        recorder: Recorder,
    ) -> None:
        """Start the guest as PluginInstance does, and record that as the first step."""
        self._recorder = recorder
        recorder.begin()
        try:
            super().__init__(
                loaded,
                recorded(imports, recorder),
                limits,
                on_line,
                sources=RecordedSources(sources, recorder),
            )
        except PluginError as e:
            self.last_step: Step = recorder.end(Failed(str(e), e.traceback))
            raise
        self.last_step = recorder.end(Returned(None))

    def call(self, interface: str, function: str, *arguments: object) -> Any:
        self._recorder.begin(str(arguments[0]) if arguments else None)
        try:
            value = super().call(interface, function, *arguments)
        except PluginError as e:
            self.last_step = self._recorder.end(Failed(str(e), e.traceback))
            raise
        self.last_step = self._recorder.end(Returned(to_plain(value)))
        return value
