"""The fleet as its page has it: the pool of connections, and the pages of the sites in use."""

import asyncio
import logging
from collections.abc import Callable
from typing import TypeVar

from bus.config.history_table import FleetConfig
from bus.fault import Fault
from hub_app.fleet.connection import Connection
from hub_app.fleet.errors import FleetUnavailableError
from hub_app.fleet.migrations import apply_settings, migrate
from hub_app.fleet.page import sites
from hub_app.fleet.page.pool import Pool
from hub_app.fleet.page.site_page import MirrorHub, NoLink, SitePage
from hub_app.live.dashboard import Dashboard

logger = logging.getLogger(__name__)
T = TypeVar("T")


class Fleet:
    """Everything that the routes of the role fleet read. Used on the event loop."""

    def __init__(self, settings: FleetConfig, dashboard: Dashboard) -> None:
        self._settings = settings
        self._dashboard = dashboard
        self._pool = Pool(settings)
        self._link = NoLink()
        self._link.connected = False
        self._fault = Fault("fleet", logger=logger)
        self._pages: dict[str, SitePage] = {}
        # Called with each new site page.
        self.on_page: Callable[[SitePage], None] = lambda _page: None
        self.hub = MirrorHub("fleet", dashboard, self._link)

    @property
    def pages(self) -> list[SitePage]:
        return list(self._pages.values())

    def close(self) -> None:
        self._pool.close()

    def end_streams(self) -> None:
        """End the event streams of all sites."""
        for page in self.pages:
            page.hub.fanout.close()

    async def read(self, query: Callable[[Connection], T]) -> T:
        """Return what `query` reads from the database. Raises FleetUnavailableError."""

        def read() -> T:
            with self._pool.connection() as db:
                return query(db)

        return await asyncio.to_thread(read)

    async def page(self, name: str) -> SitePage | None:
        """Return the page of a site, up to date; None where there is no such site.

        Raises FleetUnavailableError.
        """
        page = self._pages.get(name)
        if page is not None:
            page.use()
            return page
        number = await self.read(lambda db: sites.site(db, name))
        if number is None:
            return None
        page = SitePage(number, name, self._pool, self._dashboard, self._link)
        page.take(await asyncio.to_thread(page.read))
        self.on_page(page)
        # Another request may have been quicker.
        return self._pages.setdefault(name, page)

    async def run(self) -> None:
        """Follow the sites that are in use, until cancelled."""
        is_prepared = False
        while True:
            try:
                if not is_prepared:
                    await self.read(self._prepare)
                    is_prepared = True
                await self._look()
                self._link.connected = True
                self._fault.worked()
            except FleetUnavailableError as e:
                self._link.connected = False
                self._fault.failed(str(e))
            await asyncio.sleep(self._settings.interval_s)

    async def _look(self) -> None:
        if not self._pages:
            await self.read(lambda db: db.execute("SELECT 1").fetchone())
        for name, page in list(self._pages.items()):
            if page.is_idle:
                page.hub.fanout.close()
                del self._pages[name]
                continue
            page.take(await asyncio.to_thread(page.read))

    def _prepare(self, db: Connection) -> None:
        migrate(db)
        apply_settings(db, self._settings)
