"""Running broker in a thread, ours or stock amqtt: see `switch`."""

import asyncio
import contextlib
import ssl
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any, TypeVar

from broker.auth.gate import Gate
from broker.embedded.net.listener import Listener
from broker.embedded.net.websocket.handshake import WebSocketPolicy
from broker.server import EmbeddedBroker
from bus.config.broker_table import BrokerConfig
from tests.broker.embedded.raw import RawClient
from tests.broker.embedded.stock import StockBroker
from tests.broker.embedded.switch import PATIENCE_S, STOCK
from tests.support import HOST, WAIT_S, OpenGate, free_port

T = TypeVar("T")


class Running:
    """A broker that listens on `port`, and the loop that it runs in."""

    def __init__(
        self, broker: EmbeddedBroker | StockBroker, port: int, websocket_port: int = 0
    ) -> None:
        self.broker = broker
        self.port = port
        self.websocket_port = websocket_port
        self.loop = asyncio.new_event_loop()
        self._clients: list[RawClient] = []
        self._ahead_s = 0.0
        self.loop.time = lambda: time.monotonic() + self._ahead_s  # type: ignore[method-assign]

    def client(self, client_id: str, **options: object) -> RawClient:
        """Return a client that was let in; it is closed when the broker is."""
        client = self.raw()
        code = client.connect(client_id, **options)
        assert code == 0, f"CONNACK {code}"
        return client

    def raw(self, source: str | None = None) -> RawClient:
        """Return a connection from the address `source`, closed when the broker is."""
        self._clients.append(RawClient(self.port, source=source))
        return self._clients[-1]

    def close_later(self, client: RawClient) -> None:
        """Close a client when the broker is closed."""
        self._clients.append(client)

    def close_clients(self) -> None:
        for client in self._clients:
            client.sock.close()

    def advance(self, seconds: float) -> None:
        """Move the clock of the broker's loop ahead: what is due by then happens now."""
        self.call(lambda: self.advance_within(seconds))

    def advance_within(self, seconds: float) -> None:
        """As `advance`, called in the loop."""
        self._ahead_s += seconds

    def call(self, function: Callable[[], T]) -> T:
        """Run a function in the broker's loop and return what it returns."""

        async def run() -> T:
            return function()

        return self.run(run())

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(WAIT_S)

    def sessions(self) -> int:
        """Return how many sessions the broker holds, connected or not."""
        if isinstance(self.broker, StockBroker):
            return self.broker.sessions
        snapshot = self.call(self.broker.snapshot)
        assert snapshot is not None
        return snapshot.clients.total

    def filters(self) -> int:
        """Return how many topic filters the broker looks at."""
        if isinstance(self.broker, StockBroker):
            return self.broker.filters
        snapshot = self.call(self.broker.snapshot)
        assert snapshot is not None
        return snapshot.subscriptions

    def wait_until(self, wanted: Callable[[], bool], timeout_s: float = PATIENCE_S) -> None:
        """Wait until something holds that only the broker's own figures tell."""
        pause = threading.Event()
        for _ in range(int(timeout_s / 0.02)):
            if wanted():
                return
            pause.wait(0.02)
        raise AssertionError("it did not come to that")


@contextlib.contextmanager
def running(
    gate: Gate | None = None,
    *,
    store_dir: Path | None = None,
    stock: bool = STOCK,
    websocket: WebSocketPolicy | None = None,
    websocket_tls: ssl.SSLContext | None = None,
    **settings: Any,
) -> Iterator[Running]:
    """Run a broker; `settings` are keys of the [broker] table.

    With `websocket` it listens for WebSockets as well.
    """
    port = free_port()
    listeners = [Listener(HOST, port)]
    if websocket is not None:
        listeners.append(Listener(HOST, free_port(), websocket_tls, websocket=websocket))
    table = BrokerConfig(listen=HOST, port=port, **settings)
    opened = gate or OpenGate()
    broker: EmbeddedBroker | StockBroker
    if stock:
        broker = StockBroker(port, opened, settings.get("connections", -1))
    else:
        broker = EmbeddedBroker(table, opened, store_dir=store_dir, listeners=listeners)
    it = Running(broker, port, listeners[-1].port)
    thread = threading.Thread(target=_serve, args=(it,))
    started = threading.Event()
    it.loop.call_soon(lambda: it.loop.create_task(_start(it, started)))
    thread.start()
    try:
        assert started.wait(WAIT_S)
        yield it
    finally:
        it.close_clients()
        it.run(broker.stop())
        it.loop.call_soon_threadsafe(it.loop.stop)
        thread.join(WAIT_S)


def _serve(it: Running) -> None:
    asyncio.set_event_loop(it.loop)
    it.loop.run_forever()
    rest = asyncio.all_tasks(it.loop)
    for task in rest:
        task.cancel()
    it.loop.run_until_complete(asyncio.gather(*rest, return_exceptions=True))
    it.loop.run_until_complete(it.loop.shutdown_default_executor())
    it.loop.close()


async def _start(it: Running, started: threading.Event) -> None:
    await it.broker.start()
    started.set()


def open_sockets() -> int:
    """Return how many sockets this process has open."""
    count = 0
    for link in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):
            count += str(link.readlink()).startswith("socket:")
    return count
