"""gpiod 2.5 over a machine's chips that are made of file descriptors."""

import contextlib
import enum
import errno
import os
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple


class Direction(enum.Enum):
    AS_IS, INPUT, OUTPUT = range(3)


class Bias(enum.Enum):
    AS_IS, UNKNOWN, DISABLED, PULL_UP, PULL_DOWN = range(5)


class Edge(enum.Enum):
    NONE, RISING, FALLING, BOTH = range(4)


class Value(enum.Enum):
    INACTIVE, ACTIVE = range(2)


class LineSettings(NamedTuple):
    direction: Direction = Direction.AS_IS
    edge_detection: Edge = Edge.NONE
    bias: Bias = Bias.AS_IS
    output_value: Value = Value.INACTIVE


class EdgeEvent(NamedTuple):
    timestamp_ns: int
    line_offset: int


class Line:
    """One line; `level` is what drives it from outside, None where nothing does."""

    def __init__(self) -> None:
        self.settings = LineSettings()
        self.level: bool | None = None
        self.user = ""


class LineRequest:
    def __init__(self, chip: "FakeChip", pin: int, settings: LineSettings) -> None:
        self._line, self._pin, self._chip = chip.lines.setdefault(pin, Line()), pin, chip
        if self._line.user:
            raise OSError(errno.EBUSY, "Device or resource busy")
        self._line.settings, self._line.user = settings, "harvester"
        self.fd, self._outside = os.pipe()
        self._events: list[EdgeEvent] = []
        chip.requests[pin] = self

    def get_value(self, pin: int) -> Value:
        assert pin == self._pin
        self._chip.check()
        return Value(int(self._chip.is_high(pin)))

    def set_value(self, pin: int, value: Value) -> None:
        assert (pin, self._line.settings.direction) == (self._pin, Direction.OUTPUT)
        self._chip.check()
        self._line.settings = self._line.settings._replace(output_value=value)
        self._chip.log.append((pin, bool(value.value)))

    def read_edge_events(self) -> list[EdgeEvent]:
        os.read(self.fd, 4096)
        events, self._events = self._events, []
        return events

    def release(self) -> None:
        self._line.user = ""
        del self._chip.requests[self._pin]
        os.close(self.fd)
        os.close(self._outside)

    def see_edge(self, event: EdgeEvent) -> None:
        self._events.append(event)
        os.write(self._outside, b"!")


class FakeChip:
    def __init__(self, label: str = "pinctrl-bcm2711") -> None:
        self.label = label
        self.lines: dict[int, Line] = {}
        self.requests: dict[int, LineRequest] = {}
        self.log: list[tuple[int, bool]] = []
        self.error: OSError | None = None

    def check(self) -> None:
        if self.error:
            raise self.error

    def is_high(self, pin: int) -> bool:
        line = self.lines[pin]
        if line.settings.direction is Direction.OUTPUT:
            return bool(line.settings.output_value.value)
        return line.settings.bias is Bias.PULL_UP if line.level is None else line.level

    def drive_outside(self, pin: int, level: bool | None, at_ms: float) -> None:
        before = self.is_high(pin)
        self.lines[pin].level = level
        after = self.is_high(pin)
        wanted = self.lines[pin].settings.edge_detection
        seen = Edge.RISING if after else Edge.FALLING
        if before != after and wanted in (Edge.BOTH, seen):
            self.requests[pin].see_edge(EdgeEvent(int(at_ms * 1e6), pin))


class FakeGpiod(types.ModuleType):
    """The library; its chips are the files of `directory` that `add` makes."""

    LineSettings = LineSettings

    def __init__(self, directory: Path) -> None:
        super().__init__("gpiod")
        self.pattern = str(directory / "gpiochip*")
        self.line = types.ModuleType("gpiod.line")
        vars(self.line).update(Direction=Direction, Bias=Bias, Edge=Edge, Value=Value)
        self.opened = 0
        self._directory = directory
        self._chips: dict[str, FakeChip] = {}

    def add(self, name: str, chip: FakeChip) -> FakeChip:
        path = self._directory / name
        path.touch()
        self._chips[str(path)] = chip
        return chip

    @contextlib.contextmanager
    def Chip(self, path: str) -> Iterator[Any]:  # noqa: N802 - the library's name
        self.opened += 1
        chip = self._chips[path]
        chip.check()
        yield types.SimpleNamespace(get_info=lambda: types.SimpleNamespace(label=chip.label))

    def request_lines(
        self,
        path: str,
        config: dict[int, LineSettings],
        consumer: str | None = None,
        event_buffer_size: int | None = None,
    ) -> LineRequest:
        assert consumer
        assert event_buffer_size
        ((pin, settings),) = config.items()
        chip = self._chips[path]
        chip.check()
        return LineRequest(chip, pin, settings)
