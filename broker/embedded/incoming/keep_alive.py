"""Keep alive of one connection: ends it where no packet comes for 1.5 times its interval."""

import asyncio
from collections.abc import Callable

from broker.embedded.net.connection import Connection
from broker.embedded.session import ClientSession

# MQTT-3.1.2-24.
_FACTOR = 1.5
# Time to read what has come, before a client counts as silent.
_OVERDUE_S = 0.1


class KeepAlive:
    """Timer of a connection; `on_silent` is called once. An interval of 0 means never."""

    def __init__(
        self,
        connection: Connection,
        session: ClientSession,
        keep_alive_s: int,
        on_silent: Callable[[], None],
    ) -> None:
        self._connection = connection
        self._session = session
        self._max_silence_s = _FACTOR * keep_alive_s
        self._on_silent = on_silent
        self._loop = asyncio.get_running_loop()
        self._is_overdue = False
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        self._connection.read_s = self._loop.time()
        self._check()

    def cancel(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        # It holds the owner of this timer.
        self._on_silent = _ignore

    def _check(self) -> None:
        if not self._max_silence_s:
            return
        now_s = self._loop.time()
        if self._session.is_unread:
            self._connection.read_s = now_s
        due_s = self._connection.read_s + self._max_silence_s
        if now_s >= due_s and self._is_overdue:
            self._on_silent()
            return
        self._is_overdue = now_s >= due_s
        if self._is_overdue:
            # What came while the loop was busy has not been read yet.
            due_s = now_s + _OVERDUE_S
        self._timer = self._loop.call_at(due_s, self._check)


def _ignore() -> None:
    pass
