"""Clock of a service that is wrong until somebody sets it, by libfaketime.

Containers share the clock of this computer, so a machine cannot have one of its own.
"""

import shutil

from tests.machines.machine import Machine
from tests.machines.needs import FAKETIME

_COPY = f"/usr/lib/{FAKETIME.name}"
_OFFSET = "/etc/faketimerc"
# By this, timesyncd says that it has set the clock (systemd-timesyncd.service(8)).
_SYNCHRONIZED = "/run/systemd/timesync/synchronized"
_DROP_IN = f"""[Service]
Environment=LD_PRELOAD={_COPY} FAKETIME_TIMESTAMP_FILE={_OFFSET}
Environment=FAKETIME_CACHE_DURATION=1 FAKETIME_DONT_FAKE_MONOTONIC=1
"""


class WrongClock:
    """The clock of one service of a machine."""

    def __init__(self, machine: Machine, unit: str) -> None:
        self._machine, self._unit = machine, unit
        self._drop_in = f"/etc/systemd/system/{unit}.service.d/clock.conf"

    def start_with(self, offset: str) -> None:
        """Start the service again with a clock that is wrong by `offset`, for example "-30d"."""
        shutil.copy(FAKETIME, self._machine.path(_COPY))
        self._machine.write(_OFFSET, f"{offset}\n")
        self._machine.write(self._drop_in, _DROP_IN)
        self._restart()

    def set_right(self) -> None:
        """Set the clock, as NTP does, while the service runs."""
        self._machine.write(_OFFSET, "+0\n")
        # The library looks for another offset once a second, and a clock is set before it is said.
        self._machine.run(f"sleep 3; mkdir -p $(dirname {_SYNCHRONIZED}) && touch {_SYNCHRONIZED}")

    def remove(self) -> None:
        """Start the service again with the clock of the machine."""
        self._machine.run(f"rm {self._drop_in} {_SYNCHRONIZED}")
        self._restart()

    def _restart(self) -> None:
        self._machine.run(f"systemctl daemon-reload && systemctl restart {self._unit}")
