"""Darkening of a disabled plugin: its outputs go off, again after a poll that was under way."""

from collections.abc import Callable, Iterable

from node_agent.plugins.thread import Phase, PluginThread


class Darkening:
    """Threads of a disabled plugin that may still switch on its outputs. One thread at a time."""

    def __init__(self, darken: Callable[[], object], *, is_pending: bool) -> None:
        """`is_pending`: the plugin is disabled from the start, with its outputs as they were."""
        self._darken = darken
        # None when the outputs are dark, or not to be.
        self._threads: list[PluginThread] | None = [] if is_pending else None

    @property
    def is_pending(self) -> bool:
        """Whether a poll may still switch on an output."""
        return self._threads is not None

    def begin(self, threads: Iterable[PluginThread]) -> None:
        """Release the outputs of threads that were told to stop."""
        self._threads = list(threads)
        for thread in self._threads:
            thread.release_outputs()

    def run_cycle(self) -> None:
        """Switch off the outputs until every thread has ended."""
        if self._threads is None:
            return
        still_running = [t for t in self._threads if t.phase is not Phase.ENDED]
        self._darken()
        self._threads = still_running or None
