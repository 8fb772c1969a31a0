"""Decoder of readings: it accepts what the types allow, at the first time and later."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bus.contract.messages import Reading, encode
from bus.contract.reading import CheckedReading, ReadingDecoder
from tests.allowed_messages import messages

CHECKED = msgspec.json.Decoder(CheckedReading)
GOOD = Reading("pi4", "dht22-gpio4", 1, "s1", 2, {"temperature": 20.5}, "dht22", "b1", 3, "unset")
BAD: dict[str, object] = {
    "node": "Pi 4",
    "sensor_id": "",
    "stream": "",
    "data": {"tab\t": 1},
    "plugin": "a\nb",
    "boot_id": "not an id",
    "seq": -1,
    "clock": "wrong",
}


class CountingDecoder:
    """Decoder that counts its calls."""

    def __init__(self) -> None:
        self.calls = 0

    def decode(self, payload: bytes) -> CheckedReading:
        self.calls += 1
        return CHECKED.decode(payload)


@given(messages(Reading))
def test_a_reading_is_the_same_at_first_and_again(reading: Reading) -> None:
    decoder = ReadingDecoder()
    payload = encode(reading)
    assert decoder.decode(payload) == decoder.decode(payload) == reading
    assert encode(CHECKED.decode(payload)) == payload


@given(st.lists(messages(Reading), max_size=8))
def test_what_was_decoded_before_changes_nothing(readings: list[Reading]) -> None:
    decoder = ReadingDecoder()
    assert [decoder.decode(encode(one)) for one in readings] == readings


@pytest.mark.parametrize("field", BAD)
def test_a_bad_field_is_refused_after_good_readings(field: str) -> None:
    decoder = ReadingDecoder()
    decoder.decode(encode(GOOD))
    fields = msgspec.to_builtins(GOOD) | {field: BAD[field]}
    for _ in range(2):
        with pytest.raises(msgspec.ValidationError):
            decoder.decode(msgspec.json.encode(fields))


def test_the_strings_of_a_sensor_are_matched_with_their_patterns_once() -> None:
    decoder, checked = ReadingDecoder(), CountingDecoder()
    decoder._checked = checked  # type: ignore[assignment]
    for seq in range(100):
        decoder.decode(encode(msgspec.structs.replace(GOOD, seq=seq)))
    assert checked.calls == 1
    decoder.decode(encode(msgspec.structs.replace(GOOD, data={"pressure": 1.0})))
    assert checked.calls == 2
