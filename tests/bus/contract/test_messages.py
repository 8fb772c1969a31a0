import base64
import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bus.contract.bounds import MAX_PAYLOAD_BYTES
from bus.contract.messages import (
    MAX_BACKLOG,
    MAX_LOG_CHARS,
    MESSAGE_TYPES,
    Backlog,
    Log,
    Message,
    Oled,
    Reading,
    check_data,
    decode,
    encode,
)
from bus.contract.topics import CHANNELS, Topic, TopicKind, parse
from bus.errors import BadPayloadError
from tests.allowed_messages import messages, topic_of

VALUES = st.floats(allow_nan=False) | st.integers() | st.text(max_size=50) | st.booleans()
MESSAGES = {message_type: messages(message_type) for message_type in MESSAGE_TYPES.values()}


@given(st.one_of(*MESSAGES.values()))
def test_a_message_is_what_its_payload_decodes_to(message: Message) -> None:
    assert decode(topic_of(message), encode(message)) == message


OBJECTS = [made for message_type, made in MESSAGES.items() if message_type is not Backlog]


@given(st.one_of(*OBJECTS))
def test_fields_that_a_newer_node_adds_are_ignored(message: Message) -> None:
    fields = json.loads(encode(message)) | {"added_later": [1, {"a": None}]}
    assert decode(topic_of(message), json.dumps(fields).encode()) == message


@given(st.one_of(*OBJECTS), st.data())
def test_a_field_that_is_missing_is_refused(message: Message, data: st.DataObject) -> None:
    required = [f.name for f in msgspec.structs.fields(message) if f.required]
    fields = json.loads(encode(message))
    del fields[data.draw(st.sampled_from(required))]
    with pytest.raises(BadPayloadError, match="found nothing, expected "):
        decode(topic_of(message), json.dumps(fields).encode())


@given(
    st.sampled_from(TopicKind),
    st.binary() | st.recursive(VALUES, st.lists).map(msgspec.json.encode),
)
def test_garbage_is_a_bad_payload(kind: TopicKind, payload: bytes) -> None:
    name = "buzzer" if "*" in CHANNELS[kind].levels else ""
    with pytest.raises(BadPayloadError, match="harvester/pi4/"):
        decode(Topic("pi4", kind, name), payload)


@pytest.mark.parametrize("payload", [b"[" * 100_000, b'{"x":' * 100_000, b"9" * 100_000])
def test_what_is_nested_beyond_reason_is_a_bad_payload(payload: bytes) -> None:
    with pytest.raises(BadPayloadError):
        decode(Topic("pi4", TopicKind.STATUS), payload)


def test_a_reading_for_another_topic_is_refused() -> None:
    reading = Reading("pi4", "dht22-gpio4", 1, "s", 0, {"temperature": 21.5})
    for topic in (
        Topic("revpi", TopicKind.READING, "dht22-gpio4"),
        Topic("pi4", TopicKind.READING, "dht22-gpio5"),
    ):
        with pytest.raises(BadPayloadError, match="not of this topic"):
            decode(topic, encode(reading))


@pytest.mark.parametrize(
    ("kind", "name", "fields"),
    [
        (TopicKind.FAN, "", {"on": 1, "mode": "auto"}),
        (TopicKind.FAN, "", {"on": True, "mode": "fast"}),
        (TopicKind.LEDS, "", {"pixels": ["#FF0000"]}),
        (TopicKind.LEDS, "", {"pixels": ["#ff0000\n"]}),
        (TopicKind.BUZZER, "", {"sounding": True, "pattern": None}),
        (TopicKind.LOG, "", {"timestamp_ms": -1, "level": "info", "source": "host", "message": ""}),
        (
            TopicKind.LOG,
            "",
            {"timestamp_ms": 1.5, "level": "info", "source": "host", "message": ""},
        ),
        (
            TopicKind.LOG,
            "",
            {"timestamp_ms": 1, "level": "info", "source": "host", "message": "x" * 5000},
        ),
        (
            TopicKind.READING,
            "a",
            {"node": "pi4", "sensor_id": "a", "timestamp_ms": 1, "stream": "s", "seq": 0}
            | {"data": {"nested": {}}},
        ),
        (
            TopicKind.READING,
            "a",
            {"node": "pi4", "sensor_id": "a", "timestamp_ms": 1, "stream": "s", "seq": 0}
            | {"data": {"absent": None}},
        ),
    ],
)
def test_a_field_of_the_wrong_type_is_refused(
    kind: TopicKind, name: str, fields: dict[str, object]
) -> None:
    with pytest.raises(BadPayloadError):
        decode(Topic("pi4", kind, name), json.dumps(fields).encode())


def frame_of(size: int) -> str:
    return base64.b64encode(bytes(size)).decode()


@pytest.mark.parametrize(
    "changed",
    [
        {"frame": frame_of(1023)},
        {"frame": frame_of(1025)},
        {"frame": ""},
        {"frame": "not base64"},
        {"frame": frame_of(1024)[:-1]},
        {"frame": frame_of(1024) + "\n"},
        {"frame": [0] * 1024},
        {"width": 64},
        {"width": 0},
        {"width": 12},
        {"width": 1 << 60, "height": 1 << 60},
        {"height": -64},
        {"on": 1},
    ],
)
def test_a_picture_that_is_not_as_large_as_it_says_is_refused(changed: dict[str, object]) -> None:
    oled = {"width": 128, "height": 64, "on": True, "frame": frame_of(1024)}
    topic = Topic("pi4", TopicKind.OLED)
    assert decode(topic, json.dumps(oled).encode()) == Oled(128, 64, on=True, frame=bytes(1024))
    with pytest.raises(BadPayloadError, match="harvester/pi4/oled"):
        decode(topic, json.dumps(oled | changed).encode())


def test_a_picture_is_base64_of_its_rows() -> None:
    payload = encode(Oled(16, 1, on=True, frame=b"\x80\x01"))
    assert json.loads(payload) == {"width": 16, "height": 1, "on": True, "frame": "gAE="}


def test_a_log_line_may_be_as_long_as_it_says() -> None:
    line = Log(1, "info", "host", "x" * MAX_LOG_CHARS)
    assert decode(Topic("pi4", TopicKind.LOG), encode(line)) == line


def test_the_error_names_topic_and_finding_on_one_short_line() -> None:
    with pytest.raises(BadPayloadError) as caught:
        decode(Topic("pi4", TopicKind.STATUS), b"\xff\n" * 10_000)
    text = str(caught.value)
    assert "harvester/pi4/status" in text
    assert len(text) < 500
    assert "\n" not in text


def test_a_backlog_that_is_too_long_or_of_another_node_is_refused() -> None:
    topic = Topic("pi4", TopicKind.BACKLOG)
    own, other = (Reading(node, "room", 1, "s", 1, {}) for node in ("pi4", "revpi"))
    assert decode(topic, encode(Backlog([own] * MAX_BACKLOG))) == Backlog([own] * MAX_BACKLOG)
    for bad in ([own] * (MAX_BACKLOG + 1), [own, other]):
        with pytest.raises(BadPayloadError):
            decode(topic, encode(Backlog(bad)))


VALUE = (
    "a number from -9.0072e+15 to 9.0072e+15 or a string of at most 256 characters or true or false"
)
STATUS = {"state": "online", "role": "spoke", "version": "1", "boot_id": "b", "since_ms": 1}
READING = {"node": "pi4", "sensor_id": "a", "timestamp_ms": 1, "stream": "s", "seq": 0}
LINE = {"timestamp_ms": 1, "level": "info", "source": "host", "message": ""}
PLUGIN = {"state": "running", "sha256": "", "loaded_ms": 1, "restarts": 0}


@pytest.mark.parametrize(
    ("kind", "name", "fields"),
    [
        (TopicKind.STATUS, "", STATUS | {"interval_s": 1.7e308}),
        (TopicKind.STATUS, "", STATUS | {"interval_s": 0.0999}),
        (TopicKind.STATUS, "", STATUS | {"interval_s": 3600.5}),
        (TopicKind.STATUS, "", STATUS | {"boot_id": "b" * 200_000}),
        (TopicKind.STATUS, "", STATUS | {"boot_id": "b" * 65}),
        (TopicKind.STATUS, "", STATUS | {"version": "1\n2"}),
        (TopicKind.STATUS, "", STATUS | {"since_ms": 2**53}),
        (TopicKind.STATUS, "", STATUS | {"newer": "x" * 5000}),
        (TopicKind.READING, "a", READING | {"data": {"x": 10**400}}),
        (TopicKind.READING, "a", READING | {"data": {"x": 2**53 + 1}}),
        (TopicKind.READING, "a", READING | {"data": {"x": -(2**53) - 1}}),
        (TopicKind.READING, "a", READING | {"data": {"x": 1e300}}),
        (TopicKind.READING, "a", READING | {"data": {"": 1}}),
        (TopicKind.READING, "a", READING | {"data": {"a\nb": 1}}),
        (TopicKind.READING, "a", READING | {"data": {"x" * 65: 1}}),
        (TopicKind.READING, "a", READING | {"data": {"x": "y" * 257}}),
        (TopicKind.READING, "a", READING | {"data": {f"f{n}": n for n in range(65)}}),
        (TopicKind.READING, "a", READING | {"data": {}, "seq": 2**53 + 1}),
        (TopicKind.READING, "a", READING | {"data": {}, "stream": ""}),
        (TopicKind.READING, "a", READING | {"data": {}, "stream": "s s"}),
        (TopicKind.READING, "a", READING | {"data": {}, "monotonic_ms": 10**14}),
        (TopicKind.READING, "a", READING | {"data": {}, "timestamp_ms": 10**14}),
        (TopicKind.LOG, "", LINE | {"source": "s" * 81}),
        (TopicKind.PLUGIN, "a", PLUGIN | {"error": "e" * 2001}),
        (TopicKind.PLUGIN, "a", PLUGIN | {"sha256": "f" * 65}),
        (TopicKind.PLUGIN, "a", PLUGIN | {"restarts": -1}),
        (TopicKind.LEDS, "", {"pixels": ["#000000"] * 257}),
        (TopicKind.STORED, "", {"stream": "s", "ranges": [[2, 1]]}),
        (TopicKind.STORED, "", {"stream": "s", "ranges": [], "refused": [[2, 1]]}),
    ],
)
def test_what_is_beyond_a_bound_is_refused(
    kind: TopicKind, name: str, fields: dict[str, object]
) -> None:
    with pytest.raises(BadPayloadError, match="harvester/pi4/"):
        decode(Topic("pi4", kind, name), json.dumps(fields).encode())


def test_an_exponent_beyond_a_float_is_refused() -> None:
    payload = json.dumps(READING | {"data": {"x": 0}}).replace('"x": 0', '"x": 1e400')
    with pytest.raises(BadPayloadError):
        decode(Topic("pi4", TopicKind.READING, "a"), payload.encode())


@pytest.mark.parametrize("kind", TopicKind)
def test_every_kind_of_topic_has_a_largest_payload(kind: TopicKind) -> None:
    assert MAX_PAYLOAD_BYTES[kind] > 0


@pytest.mark.parametrize("data", [{"x": float("inf")}, {"x": 1e300}, {"": 1.0}, {"a\x07": 1.0}])
def test_a_node_drops_data_that_the_hub_would_refuse(data: dict[str, float]) -> None:
    with pytest.raises(BadPayloadError):
        check_data(dict(data))


@pytest.mark.parametrize(
    ("topic", "payload", "said"),
    [
        (
            "harvester/pi4/status",
            b'{"state": "here"}',
            "state: found 'here', expected one of offline, online",
        ),
        (
            "harvester/pi4/leds",
            b'{"pixels": ["#ff8800", "red"]}',
            "pixels[1]: found 'red', expected a colour like \"#ff8800\"",
        ),
        ("harvester/pi4/backlog", b"[]", "found [], expected an array of 1 to 500 elements"),
        (
            "harvester/pi4/stored",
            b'{"stream": "s", "ranges": [[1]]}',
            "ranges[0]: found [1], expected an array of 2",
        ),
        (
            "harvester/pi4/readings/x",
            b'{"node": "pi4", "sensor_id": "x", "data": {"t": null}}',
            f"data.t: found None, expected {VALUE}",
        ),
        ("harvester/pi4/status", b"{", "found b'{', expected JSON"),
        ("harvester/pi4/status", b"7", "found 7, expected a table"),
    ],
)
def test_a_bad_payload_is_told_in_words(topic: str, payload: bytes, said: str) -> None:
    with pytest.raises(BadPayloadError) as raised:
        decode(parse(topic), payload)
    assert str(raised.value) == f"{topic}: {said}"
