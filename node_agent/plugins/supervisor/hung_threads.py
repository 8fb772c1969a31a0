"""Threads of a plugin that hang in a host call."""

from node_agent.plugins.thread import Phase, PluginThread

# Each holds its guest's memory, some 20 MB, until it comes back by itself.
MAX_LEFT_BEHIND = 3


class HungThreads:
    """Threads that cannot be stopped and were left behind, counted. One thread at a time."""

    def __init__(self) -> None:
        self._threads: list[PluginThread] = []

    def __len__(self) -> int:
        return len(self._threads)

    @property
    def is_full(self) -> bool:
        """Return whether another one would take too much memory."""
        return len(self._threads) >= MAX_LEFT_BEHIND

    def leave_behind(self, thread: PluginThread) -> str:
        """Abandon a thread that hangs; return the error that describes it."""
        thread.abandon()
        self._threads.append(thread)
        error = f"hung in a host call for {thread.busy_s():.1f} s, so it was left behind"
        return f"{error}; {len(self)} of at most {MAX_LEFT_BEHIND} hang so"

    def remove_ended(self) -> None:
        """Forget those that came back."""
        self._threads = [thread for thread in self._threads if thread.phase is not Phase.ENDED]
