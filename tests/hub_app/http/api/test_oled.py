"""The picture of a display, as a PNG."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bus.contract.messages import Oled
from bus.contract.topics import Topic, TopicKind
from hub_app.http.api.oled import encode_png
from tests.hub_app.conftest import HubProcess
from tests.hub_app.connected_node import until
from tests.hub_app.http.pictures import decode
from tests.hub_app.samples import reading

FRAME = bytes(range(256)) * 4


@settings(deadline=None)
@given(
    st.integers(1, 4).flatmap(
        lambda stride: st.tuples(
            st.just(stride),
            st.lists(st.binary(min_size=stride, max_size=stride), min_size=1, max_size=8),
        )
    ),
    st.integers(1, 4),
)
def test_a_png_holds_the_pixels_enlarged(sized: tuple[int, list[bytes]], scale: int) -> None:
    stride, rows = sized
    pixels = [[bool(row[x // 8] & 0x80 >> x % 8) for x in range(8 * stride)] for row in rows]
    enlarged = [[p for p in row for _ in range(scale)] for row in pixels for _ in range(scale)]
    assert decode(encode_png(8 * stride, b"".join(rows), scale)) == enlarged


def test_the_display_is_a_png_of_four_dots_a_pixel(hub: HubProcess) -> None:
    hub.publish(Topic("o1", TopicKind.OLED), Oled(128, 64, on=True, frame=FRAME))
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


def test_a_low_display_is_a_picture_of_half_the_height(hub: HubProcess) -> None:
    hub.publish(Topic("o5", TopicKind.OLED), Oled(128, 32, on=True, frame=FRAME[:512]))
    until(hub, "/api/nodes", '"o5"')
    dots = decode(hub.http.get("/api/nodes/o5/oled.png").content)
    assert (len(dots[0]), len(dots)) == (512, 128)
    assert [dots[127][4 * x] for x in range(128)] == [
        bool(FRAME[31 * 16 + x // 8] & 0x80 >> x % 8) for x in range(128)
    ]


def test_an_unchanged_picture_is_answered_with_304(hub: HubProcess) -> None:
    topic = Topic("o2", TopicKind.OLED)
    hub.publish(topic, Oled(128, 64, on=True, frame=FRAME))
    until(hub, "/api/nodes", '"o2"')
    etag = hub.http.get("/api/nodes/o2/oled.png").headers["etag"]
    headers = {"If-None-Match": etag}
    assert hub.http.get("/api/nodes/o2/oled.png", headers=headers).status_code == 304
    hub.publish(topic, Oled(128, 64, on=False, frame=bytes(1024)))
    until(hub, "/api/nodes", '"on":false')
    answer = hub.http.get("/api/nodes/o2/oled.png", headers=headers)
    assert (answer.status_code, answer.headers["etag"] != etag) == (200, True)


def test_a_node_without_a_display_has_no_picture(hub: HubProcess) -> None:
    hub.publish(*reading(node="o3"))
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
    hub.publish(topic, Oled(128, 64, on=True, frame=FRAME))
    until(hub, "/api/nodes", '"o4"')
    before = hub.http.get("/api/nodes/o4/oled.png").content
    counted = hub.http.get("/health").json()["undecodable"].get(str(topic), 0)
    hub.bus.publish(topic, payload)
    until(hub, "/health", f'"{topic}":{counted + 1}')
    assert hub.http.get("/api/nodes/o4/oled.png").content == before
