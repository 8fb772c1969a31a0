import threading

import pytest

from node_agent.plugins.state_saver import StateSaver
from tests.support import WAIT_S

NEVER_S = 3600.0


class State:
    """State that counts how often it was saved."""

    def __init__(self, error: Exception | None = None) -> None:
        self.saved = 0
        self.was_saved = threading.Event()
        self._error = error

    def save(self) -> None:
        self.saved += 1
        self.was_saved.set()
        if self._error:
            raise self._error


def test_state_is_saved_at_the_end() -> None:
    state = State()
    with StateSaver([state], NEVER_S):
        assert state.saved == 0
    assert state.saved >= 1


def test_state_is_saved_regularly() -> None:
    state = State()
    with StateSaver([state], 0.01):
        assert state.was_saved.wait(WAIT_S)


def test_state_is_saved_when_asked_for() -> None:
    state = State()
    with StateSaver([state], NEVER_S) as saver:
        saver.save_soon()
        assert state.was_saved.wait(WAIT_S)


def test_a_state_that_fails_does_not_keep_others_from_being_saved(
    caplog: pytest.LogCaptureFixture,
) -> None:
    state = State()
    with StateSaver([State(ValueError("broken")), state], NEVER_S):
        pass
    assert state.saved >= 1
    assert "ValueError: broken" in caplog.text
