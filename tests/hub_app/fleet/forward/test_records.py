import contextlib
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from hub_app.alarms.engine import Active
from hub_app.alarms.records import Record
from hub_app.history.events import Event
from tests.hub_app.fleet.site import START, Site, query
from tests.support import wait_until

ALARM = msgspec.convert(
    {
        "node": "pi4",
        "name": "too-warm",
        "rule": "too-warm",
        "sensor": "room",
        "field": "t",
        "severity": "warning",
        "text": "warm",
        "since_ms": START,
        "value": 31.0,
        "worst": 31.0,
        "limit": 30.0,
    },
    Active,
)


@pytest.fixture
def site(tmp_path: Path, url: str) -> Iterator[Site]:
    with contextlib.closing(Site(tmp_path / "berlin", url)) as opened:
        yield opened


def alarms(url: str) -> list[tuple[object, ...]]:
    return query(
        url,
        "SELECT site, node, alarm, to_ms(begin_at), to_ms(end_at), worst, acknowledged_by"
        " FROM site_alarm ORDER BY begin_at",
    )


def test_an_alarm_is_followed_from_its_begin_to_its_end(site: Site, url: str) -> None:
    head = ("berlin", "pi4", "too-warm", START)
    site.store([], alarms=[Record(ALARM)])
    with site.forwarding() as forwarder:
        wait_until(lambda: forwarder.status.connected)
        wait_until(lambda: alarms(url) == [(*head, None, 31.0, "")])
        known = msgspec.structs.replace(
            ALARM, acknowledged_ms=START + 5, acknowledged_by="ann", worst=33.0
        )
        site.store([], alarms=[Record(known)])
        wait_until(lambda: alarms(url) == [(*head, None, 33.0, "ann")])
    # It ends while the hub forwards nothing.
    site.store([], alarms=[Record(known, START + 900)])
    with site.forwarding():
        wait_until(lambda: alarms(url) == [(*head, START + 900, 33.0, "ann")])


def events(url: str) -> list[tuple[object, ...]]:
    return query(url, "SELECT to_ms(at) - %s, kind, detail FROM site_event ORDER BY 1", START)


def test_events_are_there_once(site: Site, url: str) -> None:
    def event(n: int) -> Event:
        return Event("pi4", START + n, "presence", "b 1", f"online {n}")

    expected = [(n, "presence", f"online {n}") for n in range(6)]
    site.store([], events=[event(n) for n in range(3)])
    with site.forwarding() as forwarder:
        wait_until(lambda: forwarder.status.connected)
        wait_until(lambda: events(url) == expected[:3])
    site.store([], events=[event(n) for n in range(3, 6)])
    with site.forwarding():
        wait_until(lambda: events(url) == expected)


def test_events_of_a_history_that_begins_anew_are_forwarded(
    site: Site, tmp_path: Path, url: str
) -> None:
    site.store([], events=[Event("pi4", START + n, "hub", "", "started") for n in range(5)])
    with site.forwarding() as forwarder:
        wait_until(lambda: forwarder.status.connected)
        wait_until(lambda: len(events(url)) == 5)
    with contextlib.closing(Site(tmp_path / "new", url)) as new:
        new.store([], events=[Event("pi4", START + 10 + n, "hub", "", "again") for n in range(7)])
        with new.forwarding():
            wait_until(lambda: len(events(url)) == 12)
