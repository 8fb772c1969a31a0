"""Fan control: plugins decide in mode `auto`, people with modes `on` and `off`."""

import threading
from collections.abc import Callable

from bus.contract.messages import Fan, FanMode


class FanControl:
    """Fan with a mode. `set_relay(on)` drives it; `publish` gets every change."""

    def __init__(self, set_relay: Callable[[bool], None], publish: Callable[[Fan], object]) -> None:
        self._set_relay = set_relay
        self._publish = publish
        self._mode: FanMode = "auto"
        self._demanded = False
        self._on = False
        self._lock = threading.Lock()

    @property
    def state(self) -> Fan:
        with self._lock:
            return Fan(self._on, self._mode)

    def demand(self, *, on: bool) -> None:
        """Take a plugin's demand; it is effective in mode `auto`."""
        with self._lock:
            self._demanded = on
            self._apply()

    def set_mode(self, mode: FanMode) -> None:
        with self._lock:
            before = self._mode
            self._mode = mode
            if not self._apply() and before != mode:
                self._publish(Fan(self._on, self._mode))

    def _apply(self) -> bool:
        wanted = self._demanded if self._mode == "auto" else self._mode == "on"
        if wanted == self._on:
            return False
        self._set_relay(wanted)
        self._on = wanted
        self._publish(Fan(self._on, self._mode))
        return True
