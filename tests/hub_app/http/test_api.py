import msgspec
import pytest

from bus.contract.messages import Buzzer, Oled
from bus.contract.topics import Topic, TopicKind
from tests.hub_app.conftest import HubProcess
from tests.hub_app.http.pictures import decode
from tests.hub_app.nodes import buzzer_node, plugin_node, until
from tests.hub_app.samples import NOW_MS, heartbeat, log, reading, status


def test_readings_tell_sensor_time_and_data(hub: HubProcess) -> None:
    hub.say(*reading(node="r1", temperature=21.5))
    until(hub, "/api/readings", "r1:dht22-gpio4")
    answer = hub.http.get("/api/readings").json()
    assert {
        "sensor_id": "r1:dht22-gpio4",
        "timestamp_ms": NOW_MS,
        "data": {"temperature": 21.5},
    } in answer["readings"]
    assert answer["last_update"] > NOW_MS


def test_nodes_tell_presence_status_and_heartbeat(hub: HubProcess) -> None:
    hub.say(Topic("n1", TopicKind.STATUS), status())
    hub.say(Topic("n1", TopicKind.HEARTBEAT), heartbeat())
    until(hub, "/api/nodes", '"rss_mb":42.0')
    nodes = {node["node"]: node for node in hub.http.get("/api/nodes").json()["nodes"]}
    assert nodes["n1"]["presence"] == "online"
    assert nodes["n1"]["status"]["boot_id"] == "a"
    assert nodes["n1"]["plugins"] == {}


def test_logs_are_limited_and_newest_last(hub: HubProcess) -> None:
    for i in range(5):
        hub.say(Topic("l1", TopicKind.LOG), log(f"line {i}", NOW_MS + i))
    until(hub, "/api/logs", "line 4")
    lines = hub.http.get("/api/logs", params={"node": "l1", "limit": 2}).json()["logs"]
    assert [line["message"] for line in lines] == ["line 3", "line 4"]
    assert lines[0]["node"] == "l1"


@pytest.mark.parametrize("limit", ["0", "501", "-1", "x", "1.5", "", "9" * 99, "\u0663"])
def test_a_bad_limit_is_refused_with_what_is_allowed(hub: HubProcess, limit: str) -> None:
    answer = hub.http.get("/api/logs", params={"limit": limit})
    assert answer.status_code == 400
    assert "expected a whole number, 1 to 500" in answer.json()["error"]


def test_logs_of_an_unknown_node_are_refused(hub: HubProcess) -> None:
    answer = hub.http.get("/api/logs", params={"node": "nobody"})
    assert (answer.status_code, "nobody" in answer.json()["error"]) == (404, True)


def test_health_tells_bus_version_and_clients(hub: HubProcess) -> None:
    answer = hub.http.get("/health")
    assert answer.status_code == 200
    assert answer.json().items() >= {"status": "ok", "bus_connected": True, "clients": 0}.items()
    assert "ok" not in answer.json()


FRAME = bytes(range(256)) * 4


def test_the_display_is_a_png_of_four_dots_a_pixel(hub: HubProcess) -> None:
    hub.say(Topic("o1", TopicKind.OLED), Oled(128, 64, on=True, frame=FRAME))
    until(hub, "/api/nodes", '"o1"')
    answer = hub.http.get("/api/nodes/o1/oled.png")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/png")
    assert answer.headers["cache-control"] == "no-store"
    dots = decode(answer.content)
    assert (len(dots[0]), len(dots)) == (512, 256)
    for y in range(256):
        for x in range(512):
            byte = FRAME[y // 4 * 16 + x // 4 // 8]
            assert dots[y][x] == bool(byte & 0x80 >> x // 4 % 8)


def test_who_has_the_picture_is_told_that_it_is_the_same(hub: HubProcess) -> None:
    topic = Topic("o2", TopicKind.OLED)
    hub.say(topic, Oled(128, 64, on=True, frame=FRAME))
    until(hub, "/api/nodes", '"o2"')
    etag = hub.http.get("/api/nodes/o2/oled.png").headers["etag"]
    headers = {"If-None-Match": etag}
    assert hub.http.get("/api/nodes/o2/oled.png", headers=headers).status_code == 304
    hub.say(topic, Oled(128, 64, on=False, frame=bytes(1024)))
    until(hub, "/api/nodes", '"on":false')
    answer = hub.http.get("/api/nodes/o2/oled.png", headers=headers)
    assert (answer.status_code, answer.headers["etag"] != etag) == (200, True)


def test_a_node_without_a_display_has_no_picture(hub: HubProcess) -> None:
    hub.say(*reading(node="o3"))
    until(hub, "/api/nodes", '"o3"')
    answer = hub.http.get("/api/nodes/o3/oled.png")
    assert answer.status_code == 404
    assert answer.json()["error"] == "o3 has no display, or has not told what it shows"
    answer = hub.http.get("/api/nodes/nobody/oled.png")
    assert answer.status_code == 404
    assert "found 'nobody', expected one of" in answer.json()["error"]


@pytest.mark.parametrize(
    "payload",
    [
        b'{"width":128,"height":64,"on":true,"frame":"AAAA"}',
        b'{"width":128,"height":64,"on":true,"frame":"<script>"}',
        b'{"width":9999,"height":64,"on":true,"frame":""}',
        b"\x89PNG",
    ],
)
def test_a_tampered_picture_is_dropped_and_the_last_one_stays(
    hub: HubProcess, payload: bytes
) -> None:
    topic = Topic("o4", TopicKind.OLED)
    hub.say(topic, Oled(128, 64, on=True, frame=FRAME))
    until(hub, "/api/nodes", '"o4"')
    before = hub.http.get("/api/nodes/o4/oled.png").content
    counted = hub.http.get("/health").json()["undecodable"].get(str(topic), 0)
    hub.bus.publish(topic, payload)
    until(hub, "/health", f'"{topic}":{counted + 1}')
    assert hub.http.get("/api/nodes/o4/oled.png").content == before


def test_the_stream_carries_no_picture(hub: HubProcess) -> None:
    with hub.http.stream("GET", "/events") as stream:
        lines = stream.iter_lines()
        next(line for line in lines if line.startswith("data: "))
        hub.say(Topic("o5", TopicKind.OLED), Oled(128, 64, on=True, frame=FRAME))
        update = next(line for line in lines if "o5/oled" in line)
    assert len(update) < 300
    value = msgspec.json.decode(update.removeprefix("data: "))["value"]
    assert sorted(value) == ["digest", "height", "on", "width"]


def test_a_button_sounds_the_buzzer_and_hears_the_answer(hub: HubProcess) -> None:
    with buzzer_node(hub, "b1"):
        answer = hub.http.post("/api/buzzer", json={"node": "b1", "pattern": "beep3"})
    assert (answer.status_code, answer.json()["ok"]) == (200, True)
    assert answer.json()["node"] == "b1"


def test_the_default_is_the_first_node_with_a_buzzer(hub: HubProcess) -> None:
    with buzzer_node(hub, "b1"):
        assert hub.http.post("/api/buzzer?action=long").json()["pattern"] == "long"
    with buzzer_node(hub, "b1"):
        assert hub.http.post("/api/buzzer/test").json()["pattern"] == "beep"


def test_a_node_that_refuses_is_quoted(hub: HubProcess) -> None:
    with buzzer_node(hub, "b2", error="the relay is stuck"):
        answer = hub.http.post("/api/buzzer", json={"node": "b2", "pattern": "beep"})
    assert (answer.status_code, answer.json()["error"]) == (502, "the relay is stuck")


def test_a_node_that_does_not_answer_is_named(hub: HubProcess) -> None:
    hub.say(Topic("mute", TopicKind.BUZZER), Buzzer(sounding=False, pattern=""))
    until(hub, "/api/nodes", '"mute"')
    answer = hub.http.post("/api/buzzer", json={"node": "mute", "pattern": "beep"})
    assert answer.status_code == 504
    assert answer.json()["error"] == "mute did not answer within 2 s"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b'{"pattern": "siren"}', 400),
        (b"not json", 400),
        (b"\xff", 400),
        (b'{"pattern": "beep", "volume": 11}', 400),
        (b'{"pattern": "beep", "node": "nobody"}', 404),
        (b" " * 5000, 413),
    ],
)
def test_a_bad_command_is_refused(hub: HubProcess, body: bytes, code: int) -> None:
    answer = hub.http.post("/api/buzzer", content=body)
    assert (answer.status_code, answer.json()["ok"]) == (code, False)


def test_a_plugin_is_commanded_and_the_nodes_answer_returned(hub: HubProcess) -> None:
    wanted = {"node": "p1", "plugin": "dht22", "action": "reload"}
    with plugin_node(hub, Topic("p1", TopicKind.PLUGIN, "dht22")) as commands:
        answer = hub.http.post("/api/plugins", json=wanted)
    assert (answer.status_code, answer.json()) == (
        200,
        {"ok": True, **wanted, "finished_ms": NOW_MS},
    )
    assert commands == [("dht22", "reload")]
    with plugin_node(hub, Topic("p1", TopicKind.PLUGIN, "dht22"), error="no plugin none here"):
        answer = hub.http.post("/api/plugins", json={**wanted, "plugin": "none"})
    assert (answer.status_code, answer.json()["error"]) == (502, "no plugin none here")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", 400),
        (b'{"node": "p1", "plugin": "dht22"}', 400),
        (b'{"node": "p1", "plugin": "dht22", "action": "remove"}', 400),
        (b'{"node": "p1", "plugin": "dht22", "action": "reload", "now": 1}', 400),
        (b'{"node": "nobody", "plugin": "dht22", "action": "reload"}', 404),
        (b"[" * 4000, 400),
        (b" " * 5000, 413),
    ],
)
def test_a_bad_plugin_command_is_refused(hub: HubProcess, body: bytes, code: int) -> None:
    answer = hub.http.post("/api/plugins", content=body)
    assert (answer.status_code, answer.json()["ok"]) == (code, False)
    assert hub.http.get("/api/plugins").status_code == 405


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_another_sites_page_cannot_sound_the_buzzer(
    hub: HubProcess, headers: dict[str, str]
) -> None:
    assert hub.http.post("/api/buzzer/test", headers=headers).status_code == 403


def test_our_own_page_may_ask(hub: HubProcess) -> None:
    headers = {"Origin": hub.url, "Sec-Fetch-Site": "same-origin"}
    answer = hub.http.post("/api/buzzer?action=siren", headers=headers)
    assert answer.status_code == 400


@pytest.mark.parametrize(
    "path", ["/", "/health", "/static/app.js", "/nowhere", "/api/logs?limit=x"]
)
def test_every_answer_forbids_inline_and_foreign_content(hub: HubProcess, path: str) -> None:
    headers = hub.http.get(path).headers
    assert "default-src 'none'; script-src 'self'" in headers["content-security-policy"]
    assert "unsafe" not in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert "access-control-allow-origin" not in headers


def test_a_new_browser_gets_a_snapshot_first(hub: HubProcess) -> None:
    hub.say(*reading(node="s1"))
    until(hub, "/api/readings", "s1:dht22-gpio4")
    with hub.http.stream("GET", "/events") as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        lines = stream.iter_lines()
        head = [next(lines) for _ in range(3)]
    assert head[0].startswith("id: ")
    assert head[1] == "event: snapshot"
    assert "s1:dht22-gpio4" in head[2]


def test_an_update_follows_each_message(hub: HubProcess) -> None:
    with hub.http.stream("GET", "/events") as stream:
        lines = stream.iter_lines()
        next(line for line in lines if line.startswith("data: "))
        hub.say(*reading(node="u1", temperature=19.25))
        update = next(line for line in lines if "u1/readings" in line)
    assert msgspec.json.decode(update.removeprefix("data: "))["value"]["data"] == {
        "temperature": 19.25
    }


def test_what_does_not_decode_is_counted(hub: HubProcess) -> None:
    hub.bus.publish(Topic("bad", TopicKind.LEDS), b"\x00nonsense")
    until(hub, "/health", '"harvester/bad/leds":1')
