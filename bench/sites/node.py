"""Virtual node of a site that remembers each reading and its true time, and whose clock may be off.

A node whose clock is off says so with each reading, as a Pi without a battery-backed clock does
until it has asked a time server. The hub repairs these times once the clock is set.
"""

import time
from collections.abc import Iterator

import msgspec

from bench.fleet.node import SENSORS, FleetNode
from bus.clock import now_ms
from bus.contract.messages import Reading, encode

_SENSORS = tuple(SENSORS)
_READING = msgspec.json.Decoder(Reading)


class Sent(msgspec.Struct, frozen=True):
    """A reading that a node took. `at_ms` is its true time."""

    node: str
    stream: str
    seq: int
    sensor: str
    at_ms: int
    is_redated: bool


class SiteNode(FleetNode):
    """A node whose clock is `off_ms` ahead of the true time until it is set."""

    def __init__(self, *known: object, off_ms: int) -> None:
        super().__init__(*known)  # type: ignore[arg-type]
        self._off_ms = off_ms
        # Of the readings up to this number the clock was off.
        self._last_off = -1 if not off_ms else None
        now_s, at_ms = time.monotonic(), now_ms()
        self._taken_ms = [at_ms - round(1000 * (now_s - each)) for each in self._outbox.values()]

    def cycle(self) -> None:
        before = self._seq
        super().cycle()
        self._taken_ms += [now_ms()] * (self._seq - before)

    def set_clock(self) -> None:
        if self._last_off is None:
            self._last_off = self._seq - 1

    def sent(self) -> Iterator[Sent]:
        for seq, at_ms in enumerate(self._taken_ms):
            sensor = _SENSORS[seq % len(_SENSORS)]
            yield Sent(self.name, self.stream, seq, sensor, at_ms, self._was_off(seq))

    def _was_off(self, seq: int) -> bool:
        return self._last_off is None or seq <= self._last_off

    def _line(self, seq: int, now_s: float) -> tuple[str, str]:
        topic, line = super()._line(seq, now_s)
        if not self._was_off(seq):
            return topic, line
        true = _READING.decode(line)
        wrong_ms = max(1000, true.timestamp_ms + self._off_ms)
        wrong = msgspec.structs.replace(true, timestamp_ms=wrong_ms, clock="unset")
        return topic, encode(wrong).decode()
