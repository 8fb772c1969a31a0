"""Half-open connections: what strangers who never log in cost the broker in memory and descriptors.

Opens TLS sockets without a handshake from two addresses, then connections with an unfinished
CONNECT from many, the same in a WebSocket's frame, and WebSockets with an unfinished request; after
each it logs in from this machine.
"""

import asyncio
import contextlib
import datetime as dt
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from broker.auth import certificates, server_tls
from broker.embedded.net.listener import Listener
from broker.embedded.net.websocket.handshake import WebSocketPolicy
from broker.server import EmbeddedBroker
from bus.config.broker_table import BrokerConfig
from tests.broker.embedded.raw import RawClient
from tests.support import HOST, OpenGate, free_port, wait_until_listening

_TLS_SOCKETS = 1_300
_UNFINISHED = 1_000
# A remaining length of 250,000.
_HEADER = b"\x10\x90\xa1\x0f"


# A WebSocket with a frame of 1 MB that never ends.
_UPGRADE = (
    b"GET /mqtt HTTP/1.1\r\nHost: hub\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Protocol: mqtt\r\n\r\n"
)
_FRAME = b"\x82\xff\0\0\0\0\0\x10\0\0\0\0\0\0"


def _serve(port: int, tls_port: int, websocket_port: int, directory: Path) -> None:
    async def serve() -> None:
        certificates.init(directory, [HOST], dt.datetime.now(dt.UTC))
        tls = server_tls.load(directory, "none")
        assert tls is not None
        listeners = [
            Listener(HOST, port),
            Listener("0.0.0.0", tls_port, tls.context),
            Listener("0.0.0.0", websocket_port, websocket=WebSocketPolicy()),
        ]
        broker = EmbeddedBroker(BrokerConfig(connect_timeout_s=60), OpenGate(), listeners=listeners)
        await broker.start()
        await asyncio.Event().wait()

    asyncio.run(serve())


def _figures(pid: int) -> str:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    rss_mb = int(next(line for line in lines if line.startswith("VmRSS")).split()[1]) / 1024
    return f"{rss_mb:4.0f} MB, {len(list(Path(f'/proc/{pid}/fd').iterdir())):4} descriptors"


def _open(port: int, addresses: list[str], count: int, data: bytes) -> Iterator[socket.socket]:
    for number in range(count):
        sock = socket.socket()
        sock.bind((addresses[number % len(addresses)], 0))
        sock.settimeout(5.0)
        # The broker may have closed it already.
        with contextlib.suppress(OSError):
            sock.connect((HOST, port))
            sock.sendall(data)
        yield sock


def main() -> None:
    if len(sys.argv) > 1:
        _serve(*map(int, sys.argv[1:4]), Path(sys.argv[4]))
        return
    port, tls_port, websocket_port = free_port(), free_port(), free_port()
    many = [f"127.0.1.{n}" for n in range(1, 101)]
    probes = (
        ("half-open TLS, 2 addresses", tls_port, ["127.0.0.2", "127.0.0.3"], 2 * _TLS_SOCKETS, b""),
        ("unfinished CONNECT, 100 addresses", port, many, _UNFINISHED, _HEADER + b"x" * 249_000),
        (
            "unfinished CONNECT in a WebSocket",
            websocket_port,
            many,
            _UNFINISHED,
            _UPGRADE + _FRAME + _HEADER + b"x" * 249_000,
        ),
        (
            "unfinished WebSocket request",
            websocket_port,
            many,
            _UNFINISHED,
            _UPGRADE[:-2] + b"X: " + b"x" * 7_900,
        ),
        ("half-open TLS, 100 addresses", tls_port, many, 2 * _TLS_SOCKETS, b"\x16\x03\x01"),
    )
    with tempfile.TemporaryDirectory() as name:
        ports = map(str, (port, tls_port, websocket_port))
        command = [sys.executable, "-m", "bench.half_open", *ports, name]
        with subprocess.Popen(command) as process:
            try:
                wait_until_listening(port)
                print(f"{'nobody':34} {_figures(process.pid)}")
                for title, to, addresses, count, data in probes:
                    sockets = list(_open(to, addresses, count, data))
                    with RawClient(port) as client:
                        answer = client.connect("here")
                    print(f"{title:34} {_figures(process.pid)}; a login here: CONNACK {answer}")
                    for sock in sockets:
                        sock.close()
            finally:
                process.kill()


if __name__ == "__main__":
    main()
