"""Published state of a plugin, with its settings and its last failure."""

from collections.abc import Callable

import msgspec

from bus.clock import now_ms
from bus.contract.messages import MAX_LOG_CHARS, PluginPhase, PluginState
from node_agent.descriptions.plugin_settings import PluginSettings

_GAP = "\n...\n"


class PublishedState:
    """The state as it was last published. One thread at a time."""

    def __init__(self, settings: PluginSettings, publish: Callable[[PluginState], object]) -> None:
        self._settings = settings
        self._publish = publish
        self._published: PluginState | None = None
        self._since_ms = 0
        self._last_failure = ""
        # Of the component that runs or ran last.
        self.version = ""

    @property
    def phase(self) -> PluginPhase:
        return self._published.state if self._published is not None else "loading"

    def note_failure(self, text: str) -> None:
        """Keep a text as the last failure."""
        self._last_failure = shortened(text, MAX_LOG_CHARS)

    def publish(self, state: PluginState, *, again: bool = False) -> None:
        """Publish a state where it changed, or in any case with `again`."""
        if self._published is None or self._published.state != state.state:
            self._since_ms = now_ms()
        state = msgspec.structs.replace(
            state,
            since_ms=self._since_ms,
            settings=self._settings.values(),
            described=self._settings.described,
            sensors=self._settings.sensor_values(),
            version=self.version,
            last_failure=self._last_failure,
        )
        if again or state != self._published:
            self._published = state
            self._publish(state)


def shortened(text: str, most_chars: int) -> str:
    """Return a traceback without its middle where it is too long.

    Its first frames and its end stay: a long message begins with the exception's name, and a deep
    traceback ends with it.
    """
    if len(text) <= most_chars:
        return text
    half = (most_chars - len(_GAP)) // 2
    return text[:half] + _GAP + text[-half:]
