"""Instance of a plugin whose every step is recorded."""

from collections.abc import Callable
from typing import Any

import msgspec

from node_agent.recorder.events import Failed, Returned, Step, to_plain
from node_agent.recorder.hooks import RecordedSources, recorded
from node_agent.recorder.recorder import Recorder
from node_agent.sandbox.bundles import bundle
from node_agent.sandbox.bundles.bundle import LoadedBundle
from node_agent.sandbox.bundles.loaded import LoadedPlugin
from node_agent.sandbox.errors import PluginError
from node_agent.sandbox.instance import Imports, PluginInstance
from node_agent.sandbox.limits import Limits
from node_agent.sandbox.wasi.sources import WasiSources

_COMPONENT = "the memory of a component is not kept"


class States:
    """Whether the states of a plugin's instances are taken: not after one that broke its guest."""

    are_taken = True


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
        states: States | None = None,
    ) -> None:
        """Start the guest as PluginInstance does, and record that as the first step."""
        self._recorder = recorder
        self._is_bundle = isinstance(loaded, LoadedBundle)
        self._states = states or States()
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
        state, no_state = None, ""
        if self._recorder.wants_state:
            state, no_state = self.state()
        argument = str(arguments[0]) if arguments else None
        self._recorder.begin(argument, state=state, no_state=no_state)
        try:
            value = super().call(interface, function, *arguments)
        except PluginError as e:
            self.last_step = self._recorder.end(Failed(str(e), e.traceback))
            raise
        self.last_step = self._recorder.end(Returned(to_plain(value)))
        return value

    def change_deadline(self, deadline_s: float) -> None:
        """Give the next calls another deadline."""
        self._limits = msgspec.structs.replace(self._limits, deadline_s=deadline_s)

    def state(self) -> tuple[str | None, str]:
        """Return the state of a bundle's objects; None and the reason where there is none.

        Raises PluginError where that ends the guest; no other instance is asked then.
        """
        if not self._is_bundle or not self._states.are_taken:
            return None, "" if self._is_bundle else _COMPONENT
        self._states.are_taken = False
        content, reason = self._call(bundle.LOADER, "state", deadline_s=self._limits.deadline_s)
        self._states.are_taken = True
        return (None, reason) if reason else (content, "")

    def restore(self, content: str) -> str:
        """Bring a state back; return why that is not possible, or nothing. Raises PluginError."""
        if not self._is_bundle:
            return _COMPONENT
        deadline_s = self._limits.deadline_s
        return str(self._call(bundle.LOADER, "restore", content, deadline_s=deadline_s))
