"""Probe of the processor's speed: a process that does the same small piece of work again and again.

The CPU time of any program changes with what else a machine does, since programs share caches and
cores. The probe is cold each time, as a hub is that waits for messages, so that its CPU time
changes alike: costs that were measured at different times, or on different machines, are compared
by it.
"""

import os
import socket
import statistics
import subprocess
import sys
import time

import msgspec

_PIECES = 400
_PAUSE_S = 0.1
_KEYS = 100_000
_STEP = 7919


class _Piece(msgspec.Struct, frozen=True):
    seq: int
    data: dict[str, float]


_DECODER = msgspec.json.Decoder(_Piece)


class Probe:
    """Table, keys and sockets of the work."""

    def __init__(self) -> None:
        self._keys = [f"harvester/node-{n:06}/readings/sensor" for n in range(_KEYS)]
        self._table: dict[str, _Piece] = {}
        self._near, self._far = socket.socketpair()
        self._at = 0

    def measure_us(self) -> float:
        """Return the CPU time of a piece: it is decoded, kept by its key, and sent."""
        payload = b'{"seq":7,"data":{"temperature":20.5,"humidity":41.25,"pressure":1003.5}}'
        begin_s = time.thread_time()
        for _ in range(_PIECES):
            self._at = (self._at + _STEP) % _KEYS
            self._table[self._keys[self._at]] = _DECODER.decode(payload)
            self._near.send(payload)
            self._far.recv(256)
        return (time.thread_time() - begin_s) / _PIECES * 1e6


def main() -> None:
    """Print the CPU time of a piece, in microseconds, until the parent ends."""
    probe, parent = Probe(), os.getppid()
    while os.getppid() == parent:
        print(probe.measure_us(), flush=True)
        time.sleep(_PAUSE_S)


class Probing:
    """The probe beside a measurement: it runs from `start` to `stop`."""

    def start(self) -> None:
        command = [sys.executable, "-m", "bench.scale.probe"]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)

    def stop(self) -> float:
        """Return the mean CPU time of a piece in microseconds."""
        self._process.kill()
        output, _ = self._process.communicate()
        # The last line may be cut off.
        lines = output.split("\n")[:-1]
        return statistics.fmean(map(float, lines))


if __name__ == "__main__":
    main()
