"""Load process of one site: the nodes of `bench.fleet.load`, some of them with a wrong clock.

Reads a `SitePlan` from its input, prints a `Progress` a second, and at the end writes all readings
that the nodes took to the file of the plan, as lines of JSON.
"""

import asyncio
import contextlib
import gc
import sys
from pathlib import Path

import msgspec

from bench.fleet.load import Load, Plan
from bench.fleet.node import FleetNode
from bench.sites.node import SiteNode
from bus.files import file_limit

_DAY_MS = 86_400_000
# By decades, months, days, and ahead: each is in another partition of the database.
_CLOCKS_OFF_MS = (-20_000 * _DAY_MS, -40 * _DAY_MS, -2 * _DAY_MS, 3 * _DAY_MS, 90 * _DAY_MS)


class SitePlan(msgspec.Struct, frozen=True):
    """A plan of the nodes of one site. Each node in `clocks_every` begins with a wrong clock.

    The clocks are set one after the other, until the end of the time.
    """

    plan: Plan
    sent: str
    clocks_every: int


class SiteLoad(Load):
    """The nodes of one site."""

    def __init__(self, site: SitePlan) -> None:
        self._site = site
        super().__init__(site.plan)

    def made(self, number: int, *known: object) -> FleetNode:
        is_off = number % self._site.clocks_every == 0
        kind = number // self._site.clocks_every % len(_CLOCKS_OFF_MS)
        return SiteNode(*known, off_ms=_CLOCKS_OFF_MS[kind] if is_off else 0)

    async def run(self) -> None:
        plan = self._site.plan
        loop = asyncio.get_running_loop()
        for number, node in enumerate(self.site_nodes):
            # From a quarter to three quarters of the time.
            part = 0.25 + 0.5 * number / len(self.nodes)
            loop.call_later(plan.connect_s + part * plan.seconds, node.set_clock)
        await super().run()

    def write(self) -> None:
        """Write the readings that the nodes took."""
        encode = msgspec.json.Encoder().encode
        with Path(self._site.sent).open("wb") as file:
            for node in self.site_nodes:
                file.writelines(encode(each) + b"\n" for each in node.sent())

    @property
    def site_nodes(self) -> list[SiteNode]:
        return [node for node in self.nodes if isinstance(node, SiteNode)]


async def main() -> None:
    site = msgspec.json.decode(sys.stdin.read(), type=SitePlan)
    file_limit.raise_by(len(site.plan.tokens) + 100)
    load = SiteLoad(site)
    # Nothing of this is ever garbage.
    gc.freeze()
    gc.disable()
    await load.run()
    load.write()


if __name__ == "__main__":
    with contextlib.suppress(BrokenPipeError, KeyboardInterrupt):
        asyncio.run(main())
