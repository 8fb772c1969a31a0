"""Server with bounded connections: its periodic work and its end."""

import asyncio
import logging
import socket

import pytest
from starlette.responses import Response

from bus.limited_log import LimitedLog
from hub_app.serving import bounded_server
from hub_app.serving.bounded_server import BoundedServer
from hub_app.serving.places import Places
from hub_app.serving.protocol import BoundedProtocol
from tests.support import HOST, WAIT_S


def test_a_server_that_is_stopped_waits_for_no_tick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounded_server, "_TICK_S", 1e9)

    async def run() -> None:
        places: Places[BoundedProtocol] = Places(total=2, for_health=1)
        server = BoundedServer(Response(), places, LimitedLog(logging.getLogger(__name__)))
        with socket.create_server((HOST, 0)) as listener:
            serving = asyncio.create_task(server.serve([listener]))
            reader, writer = await asyncio.open_connection(*listener.getsockname())
            writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            answer = await reader.read()
            assert b"\r\ndate: " in answer
            writer.close()
            server.stop()
            await asyncio.wait_for(serving, WAIT_S)

    asyncio.run(run())
