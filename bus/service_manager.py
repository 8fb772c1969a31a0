"""Service manager: notifications as sd_notify(3) has them, and the signals that ask to stop.

Without `$NOTIFY_SOCKET`, as on a terminal, nothing is sent.
"""

import contextlib
import os
import signal
import socket
import time
from collections.abc import Callable, Mapping

from bus.install.vital_signs import VitalSigns

_SOCKET_KEY = "NOTIFY_SOCKET"
_WATCHDOG_KEY = "WATCHDOG_USEC"
_WATCHDOG_PID_KEY = "WATCHDOG_PID"
_MICROSECONDS = 1_000_000
# Notifications in each watchdog period: sd_watchdog_enabled(3) asks for at least two.
_KEEP_ALIVES_PER_PERIOD = 3.0
# Where the unit has no WatchdogSec.
_DEFAULT_PERIOD_S = 30.0


def stop_signals() -> tuple[signal.Signals, ...]:
    """Return the signals that ask a program to stop.

    SIGHUP comes from a terminal that closes, and would end the process at once, with its relays as
    they are. Where `nohup` had it ignored, it stays so.
    """
    if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        return signal.SIGTERM, signal.SIGINT
    return signal.SIGTERM, signal.SIGINT, signal.SIGHUP


class ServiceManager:
    """Sender of notifications to systemd. Sending never waits and never fails.

    The loop whose progress matters calls `keep_alive` itself, at least every `interval_s`: a thread
    of its own would go on while that loop hangs.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._address = _address(environment.get(_SOCKET_KEY, ""))
        watchdog_s = _watchdog_s(environment)
        self._has_watchdog = watchdog_s > 0
        self._period_s = watchdog_s or _DEFAULT_PERIOD_S
        self.interval_s = self._period_s / _KEEP_ALIVES_PER_PERIOD

    def ready(self) -> None:
        """The service is up."""
        self._send("READY=1", "STATUS=")

    def starting(self, status: str) -> None:
        """The service still starts, and may take one more period until it says so again."""
        more = int(self._period_s * _MICROSECONDS)
        self._send(f"EXTEND_TIMEOUT_USEC={more}", f"STATUS={_one_line(status)}")

    def keep_alive(self) -> None:
        """All that matters works: restart the watchdog's clock."""
        if self._has_watchdog:
            self._send("WATCHDOG=1")

    def wait(self, seconds: float, is_over: Callable[[float], bool]) -> bool:
        """Wait with `is_over` for up to `seconds` and keep the watchdog fed; return its answer.

        `is_over` waits as `threading.Event.wait` does: for a timeout, and returns True at once when
        there is nothing left to wait for.
        """
        end_s = time.monotonic() + seconds
        while True:
            left_s = max(0.0, end_s - time.monotonic())
            if is_over(min(left_s, self.interval_s)):
                return True
            if left_s <= self.interval_s:
                return False
            self.keep_alive()

    def show(self, signs: VitalSigns, faults: str = "") -> None:
        """Show the vital signs in `systemctl status`, and behind them what does not work."""
        text = f"{signs}: {faults}" if faults else str(signs)
        self._send(f"STATUS={_one_line(text)}")

    def stopping(self) -> None:
        self._send("STOPPING=1")

    def _send(self, *assignments: str) -> None:
        if not self._address:
            return
        # A service manager that is restarted, or that has no room for one more, misses a message:
        # the next one comes.
        with (
            contextlib.suppress(OSError),
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender,
        ):
            sender.setblocking(False)
            sender.sendto("\n".join(assignments).encode(), self._address)


def _address(text: str) -> str:
    """Return the socket's address; "@" stands for the zero byte of an abstract one."""
    if text.startswith("@"):
        return "\0" + text[1:]
    return text if text.startswith("/") else ""


def _watchdog_s(environment: Mapping[str, str]) -> float:
    """Return the period of the watchdog; 0 where there is none, or it is another process's."""
    if environment.get(_WATCHDOG_PID_KEY, str(os.getpid())) != str(os.getpid()):
        return 0.0
    text = environment.get(_WATCHDOG_KEY, "")
    return int(text) / _MICROSECONDS if text.isascii() and text.isdigit() else 0.0


def _one_line(text: str) -> str:
    return " ".join(text.split())
