"""Pages of the sites: for each site that somebody looks at, what a hub's routes read."""

import contextlib
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec

from broker.auth.gate import Role
from bus.client.link import WireMessage
from bus.clock import now_ms
from bus.config.history_table import HistoryConfig
from bus.contract.messages import Message
from bus.contract.topics import Topic
from hub_app.alarms.engine import Active, Key
from hub_app.alarms.monitor import AlarmMonitor, AlarmSetup
from hub_app.alarms.rules import Rule, RuleBook
from hub_app.fleet.connection import Connection
from hub_app.fleet.page import sites
from hub_app.fleet.page.mirror_state import MirrorState
from hub_app.fleet.page.pool import Pool
from hub_app.fleet.page.site_queries import SiteQueries, open_site
from hub_app.fleet.page.sites import SiteHub
from hub_app.history.inbox import Inbox
from hub_app.history.recorder import Recorder
from hub_app.hub import BrokerStatus, Hub
from hub_app.live.dashboard import Dashboard
from hub_app.live.page_input import PageInput
from hub_app.live.state import Snapshot

# The overview, which the dashboard plugin renders, and the other views of a site link to them.
FLEET_PATH = "/fleet"
HUB_PATH = "/hub"
# Of the name of a site in the header, which has room for so much on a phone.
_MOST_CHARS = 24
# The state of a site at which nobody looks is forgotten after this time.
_IDLE_S = 600.0
_RULES = msgspec.json.Decoder(list[Rule])


def site_links(site: str) -> tuple[tuple[str, str], ...]:
    """Return path and label of the links in the header of a site, whose overview has its name."""
    name = site if len(site) <= _MOST_CHARS else f"{site[: _MOST_CHARS - 1]}…"
    return (
        *((FLEET_PATH, "All sites"), ("/", name), ("/alarms", "Alarms"), ("/log", "Log")),
        (HUB_PATH, "Hub"),
    )


class NoLink:
    """Link of a page that sends nothing to a bus. `connected`: whether the database answers."""

    def __init__(self) -> None:
        self.connected = True
        self.problem = ""

    def start(self) -> None: ...

    def stop(self) -> None: ...

    def publish(self, _topic: Topic, _message: Message) -> int | None:
        return None

    def publish_many(self, _messages: Sequence[tuple[Topic, Message]]) -> int:
        return 0

    def publish_payload(self, _topic: Topic, _payload: bytes) -> int | None:
        return None

    def publish_wire(self, _message: WireMessage) -> int | None:
        return None


class _MirrorAlarms(AlarmMonitor):
    """The active alarms of a site and the rules, as its hub forwarded them."""

    def __init__(self, state: MirrorState) -> None:
        book = RuleBook()
        book.every = []
        super().__init__(
            AlarmSetup(book=book),
            state,
            publish=lambda _topic, _payload: None,
            record=lambda _record: None,
            most_per_node=0,
            on_refused=lambda _node, _name: None,
        )
        self.found: list[Active] = []
        self._rules = "[]"

    def set_rules(self, rules: str) -> None:
        """Show these rules, which are JSON. Of a newer hub, those that are known here."""
        if rules == self._rules:
            return
        self._rules = rules
        with contextlib.suppress(msgspec.DecodeError):
            self.book.every = _RULES.decode(rules)

    @property
    def active(self) -> list[Active]:
        return self.found

    @property
    def keys(self) -> set[Key]:
        return {alarm.key for alarm in self.found}


class MirrorHub(Hub):
    """What the routes of a page read of a hub, for one site or for the fleet as a whole."""

    def __init__(self, name: str, dashboard: Dashboard, link: NoLink) -> None:
        history = Recorder(
            name, Path(), HistoryConfig(), inbox=Inbox(), publish=lambda *_: False, now_ms=now_ms
        )
        super().__init__(
            [], bus=link, broker=BrokerStatus(("", 0)), history=history, dashboard=dashboard
        )
        self.state: MirrorState = MirrorState()
        self.alarms: _MirrorAlarms = _MirrorAlarms(self.state)
        self.name = name
        # The address of the page of the site's own hub, empty where it is not known.
        self.page_url = ""

    @property
    def faults(self) -> list[str]:
        return [] if self.bus.connected else ["the fleet database is unavailable"]

    def _page(self, snapshot: Snapshot, role: Role | None, root_path: str) -> PageInput:
        """Return the input of a page to look at: commands go to the site's own hub."""
        page = super()._page(snapshot, role, root_path)
        return msgspec.structs.replace(page, is_read_only=True, links=site_links(self.name))


class SiteNews(msgspec.Struct, frozen=True):
    """Changes of a site: entries until `since`, active alarms, and the state of its hub."""

    entries: list[tuple[str, str | None]]
    since: object
    alarms: list[Active]
    hub: SiteHub


class SitePage:
    """The mirror of one site and its last look at the database. Used on the event loop."""

    def __init__(
        self, number: int, name: str, pool: Pool, dashboard: Dashboard, link: NoLink
    ) -> None:
        self.number = number
        self.hub = MirrorHub(name, dashboard, link)
        self.hub.open_history = lambda: open_site(pool, number)
        self._pool = pool
        self._since: object = None
        self._used_s = time.monotonic()

    def use(self) -> None:
        """Note that somebody looks at it."""
        self._used_s = time.monotonic()

    @property
    def is_idle(self) -> bool:
        return not len(self.hub.fanout) and time.monotonic() - self._used_s > _IDLE_S

    def read(self) -> SiteNews:
        """Return what has changed. Any thread may call. Raises FleetUnavailableError."""
        with self._pool.connection() as db:
            return _news(db, self.number, self._since)

    def take(self, news: SiteNews) -> None:
        """Take what has changed, and tell it to the open pages."""
        self._since = news.since
        state, at_ms = self.hub.state, self.hub.now_ms()
        changes = state.set_silent(news.hub.silent_s > sites.SILENT_S)
        self.hub.page_url = news.hub.page_url
        self.hub.alarms.set_rules(news.hub.rules)
        for topic, value in news.entries:
            changes += state.mirror(topic, value)
        self.hub.alarms.found = news.alarms
        self.hub.tell(changes, at_ms)


def _news(db: Connection, number: int, since: object) -> SiteNews:
    entries, since = sites.entries(db, number, since)
    hub = sites.site_hub(db, number)
    return SiteNews(entries, since, SiteQueries(db, number).active_alarms(), hub)
