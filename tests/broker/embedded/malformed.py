"""Malformed packets of both versions: a seeded, endless series of each type and kind of fault."""

import random
from collections.abc import Callable, Iterator

from broker.embedded.packets.model import Properties
from tests.broker.embedded.raw import (
    DISCONNECT,
    PINGREQ,
    binary,
    connect,
    packet,
    publish,
    subscribe,
    uint16,
    unsubscribe,
)
from tests.broker.embedded.version5.raw5 import connect5, disconnect5, publish5, subscribe5

# What a client may send, and what only a broker may.
_SOUND = (
    connect("fuzz-other"),
    connect("fuzz-other", clean=False, will=("fuzz/will", b"gone", 1, True), username="u"),
    connect("fuzz-other", username="name", password=b"secret", keep_alive_s=60),
    publish("fuzz/topic", b"payload"),
    publish("fuzz/topic", b"payload" * 10, 1, packet_id=7, retain=True),
    publish("fuzz/topic", b"payload", 2, packet_id=8),
    packet(0x40, uint16(1)),
    packet(0x50, uint16(1)),
    packet(0x62, uint16(8)),
    packet(0x70, uint16(1)),
    subscribe(("fuzz/#", 1), ("fuzz/+/x", 0), ("$SYS/#", 1)),
    unsubscribe("fuzz/#", "other"),
    PINGREQ,
    DISCONNECT,
    packet(0x20, b"\0\0"),
    packet(0x90, uint16(1) + b"\1"),
    packet(0xB0, uint16(1)),
    packet(0xD0),
)
_WRONG = (
    publish("fuzz/+/wild", b"x"),
    publish("", b"x"),
    publish("$SYS/broker/uptime", b"x", 1),
    publish("fuzz/\0", b"x"),
    publish(b"fuzz/\xff\xfe", b"x"),
    publish(b"fuzz/\xed\xa0\x80", b"x"),
    publish("/" * 1_000, b"x", 1),
    publish("fuzz/topic", b"x", 1, packet_id=0),
    publish("fuzz/topic", b"x", dup=True),
    packet(0x36, binary(b"fuzz/topic") + uint16(1)),
    subscribe(("fuzz/#/x", 0)),
    subscribe(("fuzz/a+", 0)),
    subscribe(("", 0)),
    subscribe(("fuzz", 3)),
    subscribe(("fuzz", 255)),
    subscribe(),
    subscribe(("fuzz", 0), packet_id=0),
    unsubscribe(),
    packet(0x80, uint16(1) + binary(b"fuzz") + b"\0"),
    connect(""),
    connect("", clean=False),
    connect(b"\xff"),
    connect("fuzz\0"),
    connect("fuzz", level=5),
    connect("fuzz", level=3),
    connect("fuzz", flags=1),
    connect("fuzz", flags=0x18),
    connect("fuzz", flags=0x40),
    connect("f" * 60_000),
    packet(0x10, binary(b"MQIsdp") + b"\3\2\0\0" + binary(b"fuzz")),
    packet(0x10, binary(b"HTTP") + b"\4\2\0\0" + binary(b"fuzz")),
    b"\x30\xff\xff\xff\x7f",
    b"\x30\xff\xff\xff\xff\x7f",
    b"\x30\x80\x80\x80\x00",
    b"GET / HTTP/1.1\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    b"\0" * 100,
    b"\xff" * 100,
)

_PROPERTIES = {
    "payload_format": 1,
    "message_expiry_s": 60,
    "content_type": "text",
    "response_topic": "fuzz/answer",
    "correlation_data": b"\0\1",
    "user": (("a", "b"), ("a", "c")),
}
_WILL = ("fuzz/will", b"gone", 1, True, Properties(will_delay_s=5, content_type="x"))
_SOUND_5 = (
    connect5("fuzz-other"),
    connect5("fuzz-other", clean=False, will=_WILL, username="u", session_expiry_s=60),
    connect5("fuzz-other", receive_maximum=5, maximum_packet_bytes=100, topic_alias_maximum=3),
    connect5("", authentication_method="PLAIN", authentication_data=b"x"),
    publish5("fuzz/topic", b"payload", **_PROPERTIES),
    publish5("fuzz/topic", b"payload" * 10, 1, packet_id=7, retain=True, **_PROPERTIES),
    publish5("fuzz/topic", b"payload", 2, packet_id=8, topic_alias=3),
    publish5("", b"payload", 1, packet_id=9, topic_alias=3),
    packet(0x40, uint16(1) + b"\x87"),
    packet(0x50, uint16(1) + b"\x00\x05\x1f\x00\x02no"),
    packet(0x62, uint16(8) + b"\x92"),
    packet(0x70, uint16(1) + b"\x92\x00"),
    subscribe5(("fuzz/#", 0x2E), ("fuzz/+/x", 0), ("$share/g/fuzz/#", 1), identifier=300),
    packet(0xA2, uint16(1) + b"\0" + binary(b"fuzz/#") + binary(b"other")),
    PINGREQ,
    disconnect5(),
    disconnect5(4, session_expiry_s=5, reason="bye", user=(("a", "b"),)),
    packet(0xF0, b"\x18\x00"),
)
_WRONG_5 = (
    publish5("fuzz/+/wild", b"x"),
    publish5("", b"x"),
    publish5("", b"x", topic_alias=9),
    publish5("a", b"x", topic_alias=65_535),
    publish5("a", b"x", subscription_ids=(3,)),
    publish5("a", b"x", response_topic="a/#"),
    subscribe5(("fuzz/#/x", 0)),
    subscribe5(("$share/g", 0)),
    subscribe5(("fuzz", 0x30)),
    subscribe5(("fuzz", 0xC0)),
    subscribe5(),
    subscribe5(("fuzz", 0), packet_id=0),
    connect5("fuzz"),
    packet(0x10, binary(b"MQTT") + b"\6\2\0\0\0" + binary(b"fuzz")),
    disconnect5(0x8E),
    disconnect5(session_expiry_s=5),
    packet(0x30, binary(b"a") + b"\xff\xff\xff\xff"),
    packet(0x30, binary(b"a") + b"\x02\x80\x00"),
    packet(0x30, binary(b"a") + b"\x7f"),
)


def _truncated(rng: random.Random, data: bytes) -> bytes:
    return data[: rng.randrange(len(data))]


def _flipped(rng: random.Random, data: bytes) -> bytes:
    changed = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def _mislabelled(rng: random.Random, data: bytes) -> bytes:
    return bytes((rng.randrange(256),)) + data[1:]


def _misjudged(rng: random.Random, data: bytes) -> bytes:
    """Give it a remaining length that is not its own."""
    return data[:1] + bytes((rng.randrange(256),)) + data[2:]


def _swollen(rng: random.Random, data: bytes) -> bytes:
    at = rng.randrange(len(data))
    return data[:at] + rng.randbytes(rng.randint(1, 20)) + data[at:]


def _joined(rng: random.Random, data: bytes) -> bytes:
    return data + _flipped(rng, rng.choice(_SOUND + _SOUND_5))


def _random(rng: random.Random, data: bytes) -> bytes:
    return rng.randbytes(rng.randint(1, len(data) + 10))


_BREAKS: tuple[Callable[[random.Random, bytes], bytes], ...] = (
    _truncated,
    _truncated,
    _flipped,
    _mislabelled,
    _misjudged,
    _swollen,
    _joined,
    _random,
)


def malformed(seed: int, version: int = 4) -> Iterator[bytes]:
    """Yield without end, the same for the same seed. A few are sound by chance."""
    rng = random.Random(seed)
    sound, wrong = (_SOUND_5, _WRONG_5) if version == 5 else (_SOUND, _WRONG)
    yield from wrong
    while True:
        if rng.random() < 0.1:
            yield rng.choice(wrong)
        else:
            yield rng.choice(_BREAKS)(rng, rng.choice(sound))
