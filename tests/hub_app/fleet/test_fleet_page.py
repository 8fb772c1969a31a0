"""The page of the role fleet as a process, over the database of two sites."""

import contextlib
import datetime as dt
import os
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import httpx
import msgspec
import pytest
from selenium.webdriver import Chrome

from broker.auth import certificates
from broker.auth.server_tls import CA_NAME
from bus.config.alarms_table import AlarmConfig
from bus.contract.description import About, FieldDescription, SensorDescription
from bus.contract.messages import Alarm, Heartbeat, Status
from bus.contract.topics import Topic, TopicKind
from hub_app.alarms.engine import Active
from hub_app.alarms.records import Record
from hub_app.live.change import Change
from hub_app.live.presence import StatusView
from hub_app.live.views import ReadingView, description_view
from tests.http_client import http_client
from tests.hub_app.fleet.postgres import PostgresServer
from tests.hub_app.fleet.site import START, Site, query, reading, wait_for
from tests.hub_app.page.browser import complaints
from tests.support import (
    HOST,
    WAIT_S,
    Service,
    free_port,
    settings,
    wait_until,
    wait_until_listening,
)

pytestmark = pytest.mark.timeout(240)
NOW = dt.datetime.now(dt.UTC)
HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
ROOM = SensorDescription("p", "Wine cellar", "Cellar", 2.0, {"t": FieldDescription(unit="°C")})
NODE = About("Pi of the cellar", "", "", "", "", "", {}, {})


def change(node: str, kind: TopicKind, value: object, name: str = "") -> Change:
    topic = Topic(node, kind, name)
    return Change(str(topic), kind, node, name, value)


def entries(presence: str = "online", value: float = 21.5) -> list[Change]:
    status = Status("online", "spoke", "1", "b", START)
    beat = Heartbeat(1, 5.0, 30.0, 2.0, 0, 0, START)
    return [
        change("pi4", TopicKind.STATUS, StatusView(presence, START, status)),  # type: ignore[arg-type]
        change("pi4", TopicKind.HEARTBEAT, beat),
        change("pi4", TopicKind.ABOUT, description_view(NODE)),
        change("pi4", TopicKind.SENSOR, description_view(ROOM), "room"),
        change(
            *("pi4", TopicKind.READING),
            ReadingView("pi4:room", START, {"t": value, "up": True}, START, 6000),
            "room",
        ),
        change("pi4", TopicKind.ALARM, Alarm("warning", "warm", START, 31.0, 30.0, False), "hot"),
    ]


@pytest.fixture
def site(tmp_path: Path, url: str) -> Iterator[Site]:
    with contextlib.closing(Site(tmp_path / "berlin", url)) as opened:
        yield opened


@pytest.fixture
def page(tmp_path: Path, url: str) -> Iterator[httpx.Client]:
    with serving(tmp_path, url) as client:
        yield client


@pytest.fixture(scope="module")
def shared_page(
    tmp_path_factory: pytest.TempPathFactory, postgres: PostgresServer
) -> Iterator[httpx.Client]:
    """A page with the site `berlin`, which a test only reads."""
    folder, url = tmp_path_factory.mktemp("fleet"), postgres.new_database()
    with contextlib.closing(Site(folder / "berlin", url)) as site:
        site.store([reading(1)])
        with site.forwarding():
            wait_for(url, 1)
        with serving(folder, url) as client:
            yield client


@contextlib.contextmanager
def serving(folder: Path, url: str) -> Iterator[httpx.Client]:
    port = free_port()
    with fleet_process(folder, url, port) as service:
        wait_until_listening(port)
        with http_client(f"http://{HOST}:{port}") as client:
            wait_until(lambda: client.get("/health").status_code == 200)
            yield client
        assert service.stop() == 0, service.output()


def fleet_process(folder: Path, url: str, port: int, **keys: object) -> Service:
    (folder / "dashboard").mkdir(exist_ok=True)
    (folder / "dashboard" / "dashboard.wasm").touch()
    arguments = settings(
        cluster__role="fleet",
        web__listen=HOST,
        web__port=port,
        fleet__url=url,
        fleet__interval_s=0.2,
        storage__state_dir=folder / "fleet-state",
        plugins__directory=folder,
        **keys,
    )
    command = ["--config", os.devnull, *arguments]
    return Service("tests.hub_app.hub_process", command, folder / f"fleet-{port}.log")


def test_the_page_of_a_site_shows_what_its_hub_forwards(
    site: Site, page: httpx.Client, url: str
) -> None:
    site.store([reading(n) for n in range(10)])
    with site.forwarding() as forwarder:
        forwarder.entries.put(entries())
        wait_for(url, 10)
        wait_until(lambda: page.get("/site/berlin/api/readings").status_code == 200)
        wait_until(lambda: page.get("/site/berlin/api/readings").json()["readings"])
        (found,) = page.get("/site/berlin/api/readings").json()["readings"]
        assert (found["sensor_id"], found["data"]) == ("pi4:room", {"t": 21.5, "up": True})
        (node,) = page.get("/site/berlin/api/nodes").json()["nodes"]
        assert (node["node"], node["presence"]) == ("pi4", "online")
        for path in ("/", "/node/pi4", "/sensor/pi4/room", "/alarms", "/log"):
            answer = page.get(f"/site/berlin{path}")
            assert answer.status_code == 200, (path, answer.text)
            assert 'href="/site/berlin/' in answer.text
            assert "data-remove" not in answer.text
            assert '<a href="/site/berlin/fleet">All sites</a>' in answer.text
            assert "Log out" not in answer.text
            assert "System" not in answer.text
        assert page.get("/site/berlin/fleet").headers["location"] == "/"
        assert "Wine cellar" in page.get("/site/berlin/sensor/pi4/room").text
        # A change comes to open pages by the event stream.
        with page.stream("GET", "/site/berlin/events") as events:
            lines = events.iter_lines()
            next(line for line in lines if "pi4:room" in line)
            forwarder.entries.put(entries(value=47.25))
            assert next(line for line in lines if "47.25" in line)


def test_commands_are_left_to_the_hub_of_the_site(site: Site, page: httpx.Client, url: str) -> None:
    site.store([reading(1)])
    with site.forwarding():
        wait_for(url, 1)
    assert page.post("/site/berlin/api/buzzer", params={"action": "beep"}).status_code == 404
    assert page.post("/site/berlin/api/nodes/pi4/remove", json={}).status_code == 404
    assert page.get("/site/oslo/").status_code == 404


def test_the_rules_of_a_site_are_shown_and_its_hub_is_named(
    site: Site, page: httpx.Client, url: str
) -> None:
    site.settings = msgspec.structs.replace(site.settings, page="https://hub.berlin.example:3000/")
    site.rules.set_page_rules([AlarmConfig(name="too-warm", field="t", above=30)])
    site.store([reading(1)])
    with site.forwarding():
        wait_until(lambda: page.get("/site/berlin/api/readings").status_code == 200)
        wait_until(lambda: "too-warm" in page.get("/site/berlin/alarms").text)
    assert "t above 30" in page.get("/site/berlin/alarms").text
    found = page.get("/site/berlin/hub")
    assert (found.status_code, found.headers["location"]) == (
        *(307, "https://hub.berlin.example:3000/"),
    )
    lines = page.get("/site/berlin/log?node=pi4").text
    assert "Log lines are kept by the hub" in lines
    assert 'href="https://hub.berlin.example:3000/log?node=pi4"' in lines


def test_a_hub_whose_address_is_not_known_or_a_script_is_not_linked(
    site: Site, page: httpx.Client, url: str
) -> None:
    site.store([reading(1)])
    with site.forwarding():
        wait_until(lambda: page.get("/site/berlin/hub").status_code == 200)
    assert "fleet.page" in page.get("/site/berlin/hub").text
    query(url, "UPDATE site SET page = 'javascript:alert(1)' RETURNING page")
    wait_until(lambda: query(url, "SELECT page FROM site") == [("javascript:alert(1)",)])
    # It looks again soon.
    with page.stream("GET", "/site/berlin/events") as events:
        next(events.iter_lines())
        assert page.get("/site/berlin/hub").status_code == 200
    assert "javascript:" not in page.get("/site/berlin/log").text


def test_a_sensor_is_exported_as_csv(site: Site, page: httpx.Client, url: str) -> None:
    site.store([reading(n) for n in range(10)])
    with site.forwarding():
        wait_for(url, 10)
    times = {"from": START, "to": START + HOUR_MS, "sensor": "pi4:room", "format": "csv"}
    wait_until(lambda: page.get("/site/berlin/").status_code == 200)
    head, *rows = page.get("/site/berlin/api/history", params=times).text.split()
    assert head == "time,timestamp_ms,t,t"
    assert len(rows) == 10


def test_charts_come_from_readings_and_from_means(site: Site, page: httpx.Client, url: str) -> None:
    rows = [reading(n, START + n * 60_000, data={"t": float(n % 60)}) for n in range(600)]
    site.store(rows)
    with site.forwarding():
        wait_for(url, 600)
        wait_until(lambda: query(url, "SELECT count(*) FROM reading_hour") == [(10,)])
        wait_until(lambda: not query(url, "SELECT FROM pending_mean"))

    def chart(from_ms: int, to_ms: int, width: int) -> tuple[str, list[list[float]]]:
        times = {"from": from_ms, "to": to_ms, "width": width, "sensor": "pi4:room"}
        answer = page.get("/site/berlin/api/history", params=times).json()
        (series,) = answer["series"]
        return answer["source"], series["points"]

    source, points = chart(START, START + HOUR_MS, 1000)
    assert source == "readings"
    assert points == [[START + n * 60_000, n, n, n, 1] for n in range(60)]
    source, points = chart(START, START + 2 * DAY_MS, 1000)
    assert source == "means"
    assert points[0] == [START, 2.0, 0.0, 4.0, 5]
    assert len(points) == 120
    source, points = chart(START - 365 * DAY_MS, START + DAY_MS, 1000)
    assert sum(point[4] for point in points) == 600
    field = {"sensor": "pi4:room", "field": "t", "from": START, "to": START + HOUR_MS}
    assert len(page.get("/site/berlin/api/history", params=field).json()["points"]) == 60
    unknown = page.get("/site/berlin/api/history", params={"sensor": "pi4:attic"})
    assert unknown.status_code == 404


def test_the_fleet_lists_sites_finds_sensors_and_shows_the_alarms_of_all(
    site: Site, page: httpx.Client, url: str, tmp_path: Path
) -> None:
    hot = Active("pi4", "hot", "hot", "warning", "too warm here", START, "room", "t", 31.0)
    with contextlib.closing(Site(tmp_path / "oslo", url, "oslo")) as oslo:
        oslo.store([reading(1)], alarms=[Record(hot)])
        with site.forwarding() as forwarder, oslo.forwarding():
            forwarder.entries.put(entries())
            wait_until(lambda: len(page.get("/api/sites").json()["sites"]) == 2)
            wait_until(lambda: page.get("/api/alarms").json()["active"])
            wait_until(lambda: page.get("/api/search", params={"q": "WINE"}).json()["found"])
    (alarm,) = page.get("/api/alarms").json()["active"]
    assert (alarm["site"], alarm["text"]) == ("oslo", "too warm here")
    assert "too warm here" in page.get("/alarms").text
    found = page.get("/api/search", params={"q": "wine berlin"}).json()["found"]
    assert [(each["site"], each["node"], each["sensor"]) for each in found] == [
        ("berlin", "pi4", "room")
    ]
    text = page.get("/", params={"search": "cellar"}).text
    assert "/site/berlin/sensor/pi4/room" in text
    assert "/site/oslo/" in text
    assert page.get("/api/search", params={"q": "%"}).json()["found"] == []
    assert "too warm here" in page.get("/site/oslo/alarms").text
    query(
        url,
        "INSERT INTO alarm SELECT node, 'hot' || n, begin_at - n * interval '1 s', end_at, rule,"
        " sensor, field, severity, text, value, worst, bound, acknowledged_at, acknowledged_by"
        " FROM alarm, generate_series(1, 600) AS n RETURNING name",
    )
    found = page.get("/api/alarms").json()
    assert (len(found["active"]), found["left_out"]) == (500, 101)
    text = page.get("/alarms").text
    assert "Active alarms of all sites: 601" in text
    assert "The newest 500 are shown." in text


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/api/search?q=%00", 200),
        ("/?search=a%00b", 200),
        ("/site/berlin%00/", 404),
        ("/site/berlin/api/history?sensor=pi4:room%00&field=t", 404),
        ("/site/berlin/api/history?sensor=pi4:room&field=%00", 404),
        ("/site/berlin/api/coverage?node=%00", 404),
        ("/site/berlin/api/alarms?node=%00", 200),
    ],
)
def test_a_name_that_no_database_can_hold_is_not_found(
    shared_page: httpx.Client, path: str, status: int
) -> None:
    assert shared_page.get(path).status_code == status


def test_a_site_that_is_silent_has_lost_nodes(site: Site, page: httpx.Client, url: str) -> None:
    with site.forwarding() as forwarder:
        forwarder.entries.put(entries())
        wait_until(lambda: page.get("/site/berlin/api/nodes").status_code == 200)
        wait_until(lambda: page.get("/site/berlin/api/nodes").json()["nodes"])
    query(url, "UPDATE site SET seen_at = now() - interval '2 hours' RETURNING id")

    def presence() -> str:
        (node,) = page.get("/site/berlin/api/nodes").json()["nodes"]
        return str(node["presence"])

    wait_until(lambda: presence() == "lost")
    assert "silent for 2 h" in page.get("/").text


def test_a_page_without_its_database_says_so_and_recovers(
    tmp_path: Path, postgres: PostgresServer
) -> None:
    with serving(tmp_path, postgres.new_database()) as page:
        postgres.kill()
        wait_until(lambda: page.get("/health").status_code == 503)
        assert page.get("/").status_code == 503
        postgres.start()
        wait_until(lambda: page.get("/health").status_code == 200)
        assert page.get("/").status_code == 200


def test_a_page_that_waits_for_its_port_stops_in_order(tmp_path: Path, url: str) -> None:
    with socket.create_server((HOST, 0)) as taken:
        port = taken.getsockname()[1]
        with fleet_process(tmp_path, url, port) as service:
            wait_until(lambda: "web.port: cannot listen" in service.output())
            assert service.stop() == 0
            assert "Traceback" not in service.output()


def test_a_page_loads_a_renewed_certificate(tmp_path: Path, url: str) -> None:
    tls_dir, port = tmp_path / "fleet-state" / "tls", free_port()
    certificates.init(tls_dir, [HOST], NOW)
    trust = ssl.create_default_context(cafile=tls_dir / CA_NAME)

    def shown() -> bytes:
        with (
            socket.create_connection((HOST, port), WAIT_S) as plain,
            trust.wrap_socket(plain, server_hostname=HOST) as secure,
        ):
            return secure.getpeercert(binary_form=True) or b""

    with fleet_process(tmp_path, url, port, web__tls="true") as service:
        wait_until_listening(port)
        first = shown()
        certificates.renew(tls_dir, [HOST], NOW)
        wait_until(lambda: shown() != first)
        assert f"fleet page on https://{HOST}:{port}/" in service.output()
        assert service.stop() == 0, service.output()


def test_an_open_list_follows_the_database(
    site: Site, page: httpx.Client, url: str, browser: Chrome
) -> None:
    hot = Active("pi4", "hot", "hot", "warning", "too warm here", START, "room", "t", 31.0)
    site.store([reading(1)], alarms=[Record(hot)])
    with site.forwarding():
        wait_until(lambda: page.get("/api/alarms").json().get("active"))
    browser.get(str(page.base_url.join("/alarms")))

    def shown() -> str:
        return str(browser.execute_script("return document.getElementById('alarms').innerText"))

    assert "of all sites: 1" in shown()
    # In the time zone of the browser.
    wait_until(lambda: "UTC" not in shown())
    query(url, "UPDATE alarm SET end_at = now() RETURNING name")
    wait_until(lambda: "of all sites: 0" in shown())
    assert "too warm here" not in shown()
    assert complaints(browser) == []


def test_browsers_get_a_page_where_others_get_json(page: httpx.Client) -> None:
    accept = {"Accept": "text/html,*/*"}
    shown = page.get("/site/nosuch/", headers=accept)
    assert (shown.status_code, shown.headers["content-type"]) == (404, "text/html; charset=utf-8")
    assert "found &#x27;nosuch&#x27;, which forwards to no fleet here" in shown.text
    assert page.get("/site/nosuch/").json()["ok"] is False
    assert page.get("/site/nosuch/api/state", headers=accept).json()["ok"] is False


def test_an_open_list_says_that_the_database_is_away(
    tmp_path: Path, postgres: PostgresServer, browser: Chrome
) -> None:
    with serving(tmp_path, postgres.new_database()) as page:
        browser.get(str(page.base_url))

        def fault() -> str:
            return str(browser.execute_script("return document.getElementById('fault').innerText"))

        assert not fault()
        postgres.kill()
        wait_until(lambda: "fleet database is unavailable" in fault())
        shown = page.get("/", headers={"Accept": "text/html"})
        assert shown.status_code == 503
        assert "the fleet database is unavailable" in shown.text
        postgres.start()
        wait_until(lambda: not fault())
