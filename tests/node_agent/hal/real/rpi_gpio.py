"""Stand-in for RPi.GPIO 0.7.1: its checks, its errors, and callbacks on a thread of their own."""

import queue
import threading
import types
from collections.abc import Callable
from typing import Any

NO_DIRECTION = "You must setup() the GPIO channel first"


class Channel:
    """State of one pin; `level` is what the wire outside has, None where nothing drives it."""

    def __init__(self) -> None:
        self.direction: int | None = None
        self.pull: int = RpiGpio.PUD_OFF
        self.level: bool | None = None
        self.out = RpiGpio.LOW
        self.edge: int | None = None
        self.callback: Callable[[int], object] | None = None
        self.bounce_ms = 0
        self.called_at_ms: float | None = None


class RpiGpio(types.ModuleType):
    """Like the module, but for the wires: `drive_outside` changes them at a time of the test's."""

    BCM, BOARD = 11, 10
    OUT, IN = 0, 1
    LOW, HIGH = 0, 1
    PUD_OFF, PUD_DOWN, PUD_UP = 20, 21, 22
    RISING, FALLING, BOTH = 31, 32, 33

    def __init__(self) -> None:
        super().__init__("RPi.GPIO")
        self.channels: dict[int, Channel] = {}
        self.log: list[tuple[Any, ...]] = []
        self.has_edges = True
        self._mode: int | None = None
        self._events: queue.Queue[Callable[[], object] | None] = queue.Queue()
        self._thread = threading.Thread(target=self._call_back, daemon=True)
        self._thread.start()

    def setwarnings(self, state: bool) -> None: ...

    def setmode(self, mode: int) -> None:
        if self._mode not in (None, mode):
            raise ValueError("A different mode has already been set!")
        self._mode = mode

    def setup(
        self, channel: int, direction: int, pull_up_down: int = PUD_OFF, initial: int | None = None
    ) -> None:
        if self._mode is None:
            raise RuntimeError("Please set pin numbering mode using GPIO.setmode(GPIO.BOARD) or ..")
        if direction == self.OUT and pull_up_down != self.PUD_OFF:
            raise ValueError("pull_up_down parameter is not valid for outputs")
        if direction == self.IN and initial is not None:
            raise ValueError("initial parameter is not valid for inputs")
        found = self.channels.setdefault(channel, Channel())
        if initial is not None:
            found.out = initial
        found.direction, found.pull = direction, pull_up_down
        self.log.append(("setup", channel, direction, pull_up_down, initial))

    def output(self, channel: int, value: int) -> None:
        found = self._channel(channel)
        if found.direction != self.OUT:
            raise RuntimeError("The GPIO channel has not been set up as an OUTPUT")
        found.out = value
        self.log.append(("output", channel, value))

    def input(self, channel: int) -> int:
        found = self._channel(channel)
        if found.direction is None:
            raise RuntimeError("You must setup() the GPIO channel first")
        return int(self._level(found))

    def add_event_detect(
        self,
        channel: int,
        edge: int,
        callback: Callable[[int], object] | None = None,
        bouncetime: int = -666,
    ) -> None:
        found = self._channel(channel)
        if found.direction != self.IN:
            raise RuntimeError("You must setup() the GPIO channel as an input first")
        if bouncetime <= 0 and bouncetime != -666:
            raise ValueError("Bouncetime must be greater than 0")
        if not self.has_edges:
            raise RuntimeError("Failed to add edge detection")
        if found.edge is not None:
            raise RuntimeError("Conflicting edge detection already enabled for this GPIO channel")
        found.edge, found.callback, found.bounce_ms = edge, callback, max(0, bouncetime)
        found.called_at_ms = None

    def remove_event_detect(self, channel: int) -> None:
        found = self._channel(channel)
        found.edge = found.callback = None

    def cleanup(self, channel: int) -> None:
        self.remove_event_detect(channel)
        found = self._channel(channel)
        found.direction, found.pull = None, self.PUD_OFF
        self.log.append(("cleanup", channel))

    # The world outside.

    def drive_outside(self, channel: int, level: bool | None, at_ms: float) -> None:
        """Change the wire; the library's thread calls back where an edge is counted."""
        found = self._channel(channel)
        before = self._level(found)
        found.level = level
        after = self._level(found)
        if before == after or found.edge not in (self.BOTH, self.RISING if after else self.FALLING):
            return
        last_ms = found.called_at_ms
        if found.callback is None or (
            last_ms is not None and found.bounce_ms and at_ms - last_ms <= found.bounce_ms
        ):
            return
        found.called_at_ms = at_ms
        callback = found.callback
        self._events.put(lambda: callback(channel))

    def settle(self) -> None:
        """Wait until the library's thread has made its callbacks."""
        done = threading.Event()
        self._events.put(done.set)
        assert done.wait(60)

    def end(self) -> None:
        self._events.put(None)
        self._thread.join(60)

    def _channel(self, channel: int) -> Channel:
        found = self.channels.get(channel)
        if found is None:
            raise RuntimeError(NO_DIRECTION)
        return found

    def _level(self, channel: Channel) -> bool:
        if channel.direction == self.OUT:
            return bool(channel.out)
        return channel.pull == self.PUD_UP if channel.level is None else channel.level

    def _call_back(self) -> None:
        while (event := self._events.get()) is not None:
            event()
