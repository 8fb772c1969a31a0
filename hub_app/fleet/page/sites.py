"""Sites of the fleet: their state, their active alarms, and the search over all of them."""

import msgspec

from hub_app.fleet.connection import Connection

# Without a word of its hub for so long, a site is silent.
SILENT_S = 60.0
_MOST_FOUND = 100
_MOST_ALARMS = 500


class SiteView(msgspec.Struct, frozen=True):
    """State of one site; `silent_s` is the time since its hub forwarded anything, -1 for never."""

    id: int
    name: str
    version: str
    silent_s: float
    nodes: int
    sensors: int
    alarms: int

    @property
    def is_silent(self) -> bool:
        return not 0 <= self.silent_s <= SILENT_S


class Found(msgspec.Struct, frozen=True):
    """A node or a sensor that a search found; `sensor` is empty for a node."""

    site: str
    area: str
    node: str
    sensor: str
    title: str


class SiteAlarm(msgspec.Struct, frozen=True):
    """An active alarm of any site."""

    site: str
    node: str
    name: str
    severity: str
    text: str
    since_ms: int
    acknowledged_ms: int


class FleetAlarms(msgspec.Struct, frozen=True):
    """The active alarms of all sites, the newest first; `left_out` counts those beyond 500."""

    active: list[SiteAlarm]
    left_out: int


def sites(db: Connection) -> list[SiteView]:
    found = db.execute(
        "SELECT site.id, site.name, site.version,"
        " coalesce(extract(epoch FROM now() - seen_at)::float8, -1),"
        " (SELECT count(*) FROM node WHERE node.site = site.id),"
        " (SELECT count(*) FROM sensor JOIN node ON node.id = sensor.node"
        " WHERE node.site = site.id),"
        " (SELECT count(*) FROM alarm JOIN node ON node.id = alarm.node"
        " WHERE node.site = site.id AND end_at IS NULL) FROM site ORDER BY site.name"
    )
    return [SiteView(*row) for row in found]


def site(db: Connection, name: str) -> int | None:
    """Return the number of a site."""
    found = db.execute("SELECT id FROM site WHERE name = %s", (name,)).fetchone()
    return None if found is None else int(found[0])


class SiteHub(msgspec.Struct, frozen=True):
    """The hub of a site: seconds since it forwarded anything, its page, and its rules as JSON."""

    silent_s: float
    page_url: str
    rules: str


def site_hub(db: Connection, number: int) -> SiteHub:
    found = db.execute(
        "SELECT coalesce(extract(epoch FROM now() - seen_at)::float8, 1e9), page,"
        " coalesce(rules, '[]') FROM site WHERE id = %s",
        (number,),
    ).fetchone()
    if found is None:
        return SiteHub(1e9, "", "[]")
    silent_s, page, rules = found
    # Whoever forwards writes this: a link of another scheme might run a script.
    return SiteHub(silent_s, page if page.startswith(("http://", "https://")) else "", rules)


def search(db: Connection, text: str) -> list[Found]:
    """Return nodes and sensors whose names, titles, areas or site contain every word of `text`."""
    words = [f"%{_escaped(word)}%" for word in text.split()[:8]]
    if not words:
        return []
    found = db.execute(
        "SELECT site, area, node, sensor, title FROM ("
        " SELECT site.name AS site, node.area, node.name AS node, '' AS sensor, node.title"
        " FROM node JOIN site ON site.id = node.site UNION ALL"
        " SELECT site.name, coalesce(nullif(sensor.area, ''), node.area), node.name, sensor.name,"
        " sensor.title FROM sensor JOIN node ON node.id = sensor.node"
        " JOIN site ON site.id = node.site) AS named"
        " WHERE concat_ws(' ', site, area, node, sensor, title) ILIKE ALL(%s)"
        " ORDER BY site, node, sensor LIMIT %s",
        (words, _MOST_FOUND),
    )
    return [Found(*row) for row in found]


def alarms(db: Connection) -> FleetAlarms:
    found = db.execute(
        "SELECT count(*) OVER (), site.name, node.name, alarm.name, severity, text,"
        " to_ms(begin_at), coalesce(to_ms(acknowledged_at), 0) FROM alarm"
        " JOIN node ON node.id = alarm.node"
        " JOIN site ON site.id = node.site WHERE end_at IS NULL ORDER BY begin_at DESC LIMIT %s",
        (_MOST_ALARMS,),
    ).fetchall()
    total = found[0][0] if found else 0
    return FleetAlarms([SiteAlarm(*row) for _, *row in found], total - len(found))


def entries(
    db: Connection, number: int, since: object
) -> tuple[list[tuple[str, str | None]], object]:
    """Return topics and values of a site that changed after `since`, and the time for the next."""
    found = db.execute(
        "SELECT topic, value, changed_at FROM entry"
        " WHERE site = %s AND (%s::timestamptz IS NULL OR changed_at > %s) ORDER BY changed_at",
        (number, since, since),
    ).fetchall()
    return [(topic, value) for topic, value, _ in found], found[-1][2] if found else since


def _escaped(word: str) -> str:
    return word.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
