"""Closed transport: the place holder for the transport of a connection that is lost.

A transport of TLS holds its protocol, which holds the transport, with 256 KB of buffers and what
OpenSSL needs. Without this, only a collection of cycles would free them.
"""

import asyncio


class ClosedTransport(asyncio.Transport):
    """Does nothing. It knows what the peer's certificate was."""

    def __init__(self, lost: asyncio.BaseTransport) -> None:
        super().__init__({"peercert": lost.get_extra_info("peercert")})

    def is_closing(self) -> bool:
        return True

    def write(self, data: bytes | bytearray | memoryview) -> None:
        pass

    def close(self) -> None:
        pass

    def abort(self) -> None:
        pass

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass
