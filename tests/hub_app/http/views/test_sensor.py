"""The view of one sensor, as it is without scripts."""

import html
import re
from collections.abc import Iterator

import httpx
import pytest

from bus.contract.description import About
from bus.contract.topics import Topic, TopicKind
from hub_app.http.guard import SECURITY_HEADERS
from tests.default_descriptions import description_of
from tests.hub_app.conftest import HubProcess, running_hub
from tests.hub_app.connected_node import until
from tests.hub_app.samples import reading

SENSOR = "dht22-gpio4"
NASTY = "<script>alert(1)</script>"
PASSWORD = "correct horse"


def describe(hub: HubProcess, node: str, title: str = "Desk", area: str = "Office") -> None:
    hub.publish(Topic(node, TopicKind.SENSOR, SENSOR), description_of(SENSOR, title, area))
    hub.publish(*reading(node=node, temperature=21.26, humidity=44.0))
    until(hub, "/api/readings", f"{node}:{SENSOR}")
    until(hub, "/api/sensors", title.partition("<")[0] or f"{node}:{SENSOR}")


def view(hub: HubProcess, node: str, sensor: str = SENSOR) -> httpx.Response:
    return hub.http.get(f"/sensor/{node}/{sensor}")


def test_the_newest_values_are_readable_without_scripts(hub: HubProcess) -> None:
    describe(hub, "s1")
    found = view(hub, "s1")
    assert found.status_code == 200
    text = re.sub(r"<[^>]*>", " ", found.text)
    assert re.search(r"Temperature\s+21\.3\s*\u00b0C", text)
    assert "Desk" in text
    assert "Office" in text
    assert "ago" in text
    assert f'href="/api/readings?sensor=s1:{SENSOR}"' in found.text


def test_the_page_has_nothing_inline_and_the_same_policy(hub: HubProcess) -> None:
    describe(hub, "s2")
    found = view(hub, "s2")
    policy = SECURITY_HEADERS["Content-Security-Policy"]
    assert found.headers["content-security-policy"] == policy
    assert not re.search(r"<script(?![^>]*src=)|<style|\sstyle=|\son[a-z]+=|https?://", found.text)


def test_every_file_that_the_page_names_is_there(hub: HubProcess) -> None:
    describe(hub, "s3")
    until(hub, f"/api/history?sensor=s3:{SENSOR}", '"series"')
    for url in re.findall(r'(?:src|href)="([^"]+)"', view(hub, "s3").text):
        assert hub.http.get(html.unescape(url)).status_code == 200, url


def test_names_from_the_bus_never_become_markup(hub: HubProcess) -> None:
    describe(hub, "s4", NASTY, NASTY)
    hub.publish(
        Topic("s4", TopicKind.ABOUT), About("", "", "", "", "", "", {}, {"names": ["title"]})
    )
    until(hub, "/api/nodes", '"names"')
    found = view(hub, "s4").text
    assert "<script>alert" not in found
    assert "&lt;script&gt;alert" in found


def test_a_sensor_that_does_not_exist_is_told_from_those_that_do(hub: HubProcess) -> None:
    describe(hub, "s5")
    for path in ("/sensor/s5/attic", f"/sensor/nowhere/{SENSOR}", "/sensor/s5/%3Cb%3E"):
        found = hub.http.get(path)
        assert found.status_code == 404
        assert f'href="/sensor/s5/{SENSOR}"' in found.text
        assert "<b>" not in found.text


def test_the_overview_links_to_each_sensor(hub: HubProcess) -> None:
    describe(hub, "s6")
    assert f'href="/sensor/s6/{SENSOR}"' in hub.http.get("/").text


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubProcess]:
    directory = tmp_path_factory.mktemp("guarded")
    secret = directory / "secret"
    secret.write_text(PASSWORD)
    secret.chmod(0o600)
    with running_hub(directory, web__password=secret) as running:
        yield running


def test_nobody_sees_a_sensor_without_a_log_in(guarded: HubProcess) -> None:
    found = view(guarded, "s7")
    assert (found.status_code, found.headers["location"]) == (
        303,
        "/login?next=%2Fsensor%2Fs7%2Fdht22-gpio4",
    )
    guarded.http.post("/login", data={"name": "operator", "password": PASSWORD})
    describe(guarded, "s7")
    assert 'action="/logout"' in view(guarded, "s7").text
