from typing import cast

from node_agent.plugins.supervisor.hung_threads import MAX_LEFT_BEHIND, HungThreads
from node_agent.plugins.thread import Phase, PluginThread


class Hung:
    """A plugin's thread that hangs until a test ends it."""

    def __init__(self) -> None:
        self.phase = Phase.RUNNING
        self.is_abandoned = False

    def abandon(self) -> None:
        self.is_abandoned = True

    def busy_s(self) -> float:
        return 12.34


def test_threads_are_abandoned_counted_and_bounded() -> None:
    threads, hung = HungThreads(), [Hung() for _ in range(MAX_LEFT_BEHIND)]
    for number, thread in enumerate(hung, 1):
        assert not threads.is_full
        error = threads.leave_behind(cast("PluginThread", thread))
        assert error == (
            "hung in a host call for 12.3 s, so it was left behind; "
            f"{number} of at most {MAX_LEFT_BEHIND} hang so"
        )
    assert threads.is_full
    assert all(thread.is_abandoned for thread in hung)


def test_a_thread_that_came_back_makes_room() -> None:
    threads, hung = HungThreads(), [Hung() for _ in range(MAX_LEFT_BEHIND)]
    for thread in hung:
        threads.leave_behind(cast("PluginThread", thread))
    hung[0].phase = Phase.ENDED
    threads.remove_ended()
    assert len(threads) == MAX_LEFT_BEHIND - 1
    assert not threads.is_full
