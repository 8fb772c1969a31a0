"""Simulated wire between a node and one device: it applies the scenario's faults."""

import random
import threading
import time
from collections.abc import Callable

from node_agent.hal.errors import DeviceUnavailableError
from node_agent.hal.simulated.scenario import (
    BitErrors,
    NoAnswer,
    Scenario,
    SlowBus,
    StuckData,
    Unplugged,
    WrongId,
    frozen_since,
)

# A transfer that takes longer is given up: what the real bus has its kernel do (hal.i2c_bus), and
# less than the 0.35 s after which a DHT22's read ends whatever happens.
LONGEST_TRANSFER_S = 0.25


class Wire:
    """One device's wire; `device` is its name as readings have it, `place` as errors have it."""

    def __init__(
        self,
        device: str,
        place: str,
        scenario: Scenario,
        clock: Callable[[], float],
        power_on: Callable[[], None] = lambda: None,
    ) -> None:
        """`clock` gives the scenario's time in s; `power_on` restarts a replugged device."""
        self.device = device
        self._place = place
        self._scenario = scenario
        self._clock = clock
        self._power_on = power_on
        self._noise = random.Random(f"{scenario.seed} {device} bits")
        self._lock = threading.Lock()
        self._plugged_s = 0.0

    def begin_transfer(self) -> None:
        """Wait as long as the wire takes, up to LONGEST_TRANSFER_S.

        Raises DeviceUnavailableError where nothing answers, or not within that time.
        """
        faults = self._scenario.active_faults(self.device, self._clock())
        delay_s = sum(fault.delay_s for fault in faults if isinstance(fault, SlowBus))
        if delay_s:
            time.sleep(min(delay_s, LONGEST_TRANSFER_S))
        if delay_s > LONGEST_TRANSFER_S:
            raise DeviceUnavailableError(
                f"no end of the transfer at {self._place}: is a wire stuck?"
            )
        if any(isinstance(fault, (NoAnswer, Unplugged)) for fault in faults):
            raise DeviceUnavailableError(f"no answer at {self._place}")
        self._replug()

    def transmit(self, data: bytes) -> bytes:
        """Return `data` as it arrives."""
        for fault in self._scenario.active_faults(self.device, self._clock()):
            if isinstance(fault, StuckData) and fault.byte is not None:
                data = bytes((fault.byte,)) * len(data)
            elif isinstance(fault, BitErrors):
                data = bytes(self._disturbed(byte, fault.rate) for byte in data)
        return data

    def measured_time_s(self, t_s: float) -> float:
        """Return the time whose values the device measures at `t_s`: earlier for stuck data."""
        return frozen_since(self._scenario.active_faults(self.device, t_s), t_s)

    def current_id(self, own_id: int) -> int:
        """Return the id that the device has now."""
        faults = self._scenario.active_faults(self.device, self._clock())
        return next((f.id for f in faults if isinstance(f, WrongId)), own_id)

    def _replug(self) -> None:
        """Restart the device where it was without power since it was last reached."""
        with self._lock:
            now_s = self._clock()
            since_s, self._plugged_s = self._plugged_s, now_s
        gaps = (f for f in self._scenario.faults if isinstance(f, Unplugged))
        if any(f.concerns(self.device) and f.overlaps(since_s, now_s) for f in gaps):
            self._power_on()

    def _disturbed(self, byte: int, rate: float) -> int:
        with self._lock:
            return byte ^ 1 << self._noise.randrange(8) if self._noise.random() < rate else byte
