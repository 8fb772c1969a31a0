"""Transport of a TLS connection: asyncio's, without the faults that a bounded server meets.

In CPython 3.11 (`asyncio/sslproto.py`) a second `close` makes a transport forget its connection,
which nothing can abort then. While reading is paused, the peer's end makes it drop all that is
written without telling anybody.
"""

import asyncio
from typing import Any

# As for plain connections (`asyncio.transports`); for TLS it is 512 KiB otherwise.
_WRITE_BUFFER_BYTES = 64 * 1024


class TlsTransport:
    """A transport that may be closed twice. After `paused_s` without reading it is aborted."""

    def __init__(
        self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop, paused_s: float
    ) -> None:
        transport.set_write_buffer_limits(high=_WRITE_BUFFER_BYTES)
        self._transport = transport
        self._loop = loop
        self._paused_s = paused_s
        self._paused_timer: asyncio.TimerHandle | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def close(self) -> None:
        if not self._transport.is_closing():
            self._transport.close()

    def pause_reading(self) -> None:
        self._transport.pause_reading()
        if self._paused_timer is None:
            self._paused_timer = self._loop.call_later(self._paused_s, self._transport.abort)

    def resume_reading(self) -> None:
        if self._paused_timer is not None:
            self._paused_timer.cancel()
            self._paused_timer = None
        self._transport.resume_reading()
