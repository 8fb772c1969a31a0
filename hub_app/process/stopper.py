"""Stop of a process by signals, while it starts as well as while its web server serves."""

import asyncio
import contextlib
from collections.abc import Iterator

from bus.service_manager import stop_signals
from hub_app.serving.bounded_server import BoundedServer


class Stopper:
    """Stops the web server, or before there is one, whatever the start waits for."""

    def __init__(self) -> None:
        self.server: BoundedServer | None = None
        self._has_cancelled = False
        self._starting = asyncio.current_task()

    @contextlib.contextmanager
    def on_signals(self) -> Iterator[None]:
        """Stop on SIGTERM, SIGINT or SIGHUP within the context; a stopped start is no error."""
        loop = asyncio.get_running_loop()
        numbers = stop_signals()
        for number in numbers:
            loop.add_signal_handler(number, self._stop)
        try:
            yield
        except asyncio.CancelledError:
            if not self._has_cancelled:
                raise
        finally:
            for number in numbers:
                loop.remove_signal_handler(number)

    def _stop(self) -> None:
        if self.server is not None:
            self.server.stop()
        elif self._starting is not None:
            self._has_cancelled = True
            self._starting.cancel()
