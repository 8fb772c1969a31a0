"""WebSocket frames: pieces of any size, control frames in between, and what is refused."""

import os
from collections.abc import Sequence
from random import Random

import pytest

from broker.embedded.net.websocket.frames import (
    CloseCode,
    FrameDecoder,
    FrameError,
    Opcode,
    close_code,
    encode,
)

# Of the examples in section 5.7; the tests' names hold some frames and must not change.
_KEY = b"\x37\xfa\x21\x3d"


def masked(opcode: int, payload: bytes, *, final: bool = True) -> bytes:
    """Return a client's frame."""
    server = encode(Opcode.BINARY, payload)
    header, key = bytearray(server[: len(server) - len(payload)]), _KEY
    header[0] = opcode | (0x80 if final else 0)
    header[1] |= 0x80
    return bytes(header) + key + bytes(b ^ key[at % 4] for at, b in enumerate(payload))


def decode(pieces: Sequence[bytes]) -> list[tuple[Opcode, bytes]]:
    decoder = FrameDecoder()
    return [found for piece in pieces for found in decoder.feed(piece)]


def data_of(found: Sequence[tuple[Opcode, bytes]]) -> bytes:
    return b"".join(payload for opcode, payload in found if opcode is Opcode.BINARY)


@pytest.mark.parametrize("length", [0, 1, 125, 126, 65_535, 65_536, 300_000])
def test_frames_of_every_length_are_decoded(length: int) -> None:
    payload = os.urandom(length)
    found = decode([masked(Opcode.BINARY, payload), masked(Opcode.PING, b"x")])
    assert data_of(found) == payload
    assert found[-1] == (Opcode.PING, b"x")


def test_a_stream_that_is_cut_anywhere_gives_the_same_bytes() -> None:
    random = Random(1)
    payloads = [random.randbytes(random.choice((0, 3, 130, 70_000))) for _ in range(40)]
    frames = []
    for payload in payloads:
        cut = random.randrange(len(payload) + 1)
        frames += [
            masked(Opcode.BINARY, payload[:cut], final=False),
            masked(Opcode.PING, payload[:100]),
            masked(Opcode.CONTINUATION, payload[cut:]),
        ]
    stream = b"".join(frames)
    for size in (1, 7, 1_000, len(stream)):
        found = decode([stream[at : at + size] for at in range(0, len(stream), size)])
        assert data_of(found) == b"".join(payloads)
        assert [p for opcode, p in found if opcode is Opcode.PING] == [p[:100] for p in payloads]


def test_no_more_of_a_frame_is_held_than_its_header() -> None:
    decoder = FrameDecoder()
    header = masked(Opcode.BINARY, b"x" * 70_000)[:14]
    assert list(decoder.feed(header)) == []
    assert list(decoder.feed(b"a")) != []


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        (masked(Opcode.TEXT, b"MQTT"), CloseCode.UNSUPPORTED_DATA),
        (encode(Opcode.BINARY, b"no mask"), CloseCode.PROTOCOL_ERROR),
        (masked(3, b""), CloseCode.PROTOCOL_ERROR),
        (masked(11, b""), CloseCode.PROTOCOL_ERROR),
        (masked(Opcode.BINARY | 0x40, b"compressed"), CloseCode.PROTOCOL_ERROR),
        (masked(Opcode.CONTINUATION, b"of nothing"), CloseCode.PROTOCOL_ERROR),
        (masked(Opcode.PING, b"x" * 126), CloseCode.PROTOCOL_ERROR),
        (masked(Opcode.PING, b"", final=False), CloseCode.PROTOCOL_ERROR),
        (masked(Opcode.BINARY, b"", final=False) * 2, CloseCode.PROTOCOL_ERROR),
        (b"\x82\xff" + b"\xff" * 12, CloseCode.PROTOCOL_ERROR),
    ],
)
def test_a_wrong_frame_is_refused_with_its_code(frame: bytes, code: CloseCode) -> None:
    with pytest.raises(FrameError) as raised:
        decode([frame])
    assert raised.value.code is code


def test_codes_of_close_frames_are_checked() -> None:
    assert close_code(b"") is None
    assert close_code(b"\x03\xe8bye") == 1000
    assert close_code(b"\x0f\xa0") == 4000
    for wrong in (b"\x03", b"\x03\xec", b"\x03\xee", b"\xff\xff", b"\x03\xe8\xff"):
        with pytest.raises(FrameError):
            close_code(wrong)


def test_random_bytes_are_decoded_or_refused() -> None:
    random = Random(2)
    refused = 0
    for _ in range(5_000):
        try:
            decode([random.randbytes(random.randrange(40))])
        except FrameError:
            refused += 1
    assert refused > 1_000
