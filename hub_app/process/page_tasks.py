"""Tasks of a served page: its sessions, the uses of its API tokens, and its certificate."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

from broker.auth.server_tls import ServerTls
from bus.ticks import next_tick
from hub_app.login.login import LogIn
from hub_app.process.supervisor import Supervisor
from hub_app.serving import tls as web_tls

_EVERY_S = 1.0


@contextlib.asynccontextmanager
async def running(
    supervisor: Supervisor, log_in: LogIn | None, tls: ServerTls | None
) -> AsyncIterator[None]:
    """Run the tasks until the context ends. At the end, the uses of the tokens are written."""
    starts: dict[str, Callable[[], Awaitable[None]]] = {}
    if log_in is not None:
        starts["sessions"] = lambda: every_second(log_in.refresh)
        starts["token uses"] = log_in.token_uses.run
    if tls is not None:
        starts["web certificate"] = lambda: every_second(lambda: web_tls.refresh(tls))
    try:
        async with supervisor.running(starts):
            yield
    finally:
        if log_in is not None:
            await asyncio.to_thread(log_in.token_uses.save, all_uses=True)


async def every_second(act: Callable[[], None]) -> None:
    """Call `act` every second, until cancelled."""
    while True:
        await next_tick(_EVERY_S)
        act()
