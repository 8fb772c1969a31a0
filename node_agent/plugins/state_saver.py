"""Saving of state that is kept in RAM: at most once a minute, since each write wears an SD card."""

import logging
import threading
from collections.abc import Sequence
from typing import Protocol, Self

logger = logging.getLogger(__name__)

SAVE_EVERY_S = 60.0
_JOIN_S = 5.0


class Saved(Protocol):
    """State that `save` writes to the disk where it changed. It does not raise."""

    def save(self) -> None: ...


class StateSaver:
    """Saves each of `states` every `every_s`, when asked to, and at the end of its context.

    A thread of its own waits for the disk, so that neither a plugin nor the cycle does.
    """

    def __init__(self, states: Sequence[Saved], every_s: float = SAVE_EVERY_S) -> None:
        self._states = states
        self._every_s = every_s
        self._is_stopping = False
        self._asked = threading.Event()
        self._thread = threading.Thread(target=self._run, name="state-saver", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_stopping = True
        self._asked.set()
        self._thread.join(_JOIN_S)

    def save_soon(self) -> None:
        """Save now, without waiting for the end of it. Any thread may call."""
        self._asked.set()

    def _run(self) -> None:
        while not self._is_stopping:
            self._asked.wait(self._every_s)
            self._asked.clear()
            self._save_all()
        # What changed while the last saving ran.
        self._save_all()

    def _save_all(self) -> None:
        for state in self._states:
            self._save(state)

    def _save(self, state: Saved) -> None:
        try:
            state.save()
        except Exception:
            logger.exception("state was not saved; it is tried again in %.0f s", self._every_s)
