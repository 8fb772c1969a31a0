"""Decoding: any bytes are a packet or a violation."""

from hypothesis import given
from hypothesis import strategies as st

from broker.embedded.packets import decode
from broker.embedded.packets.decode import ViolationError


@given(st.binary(max_size=60))
def test_any_bytes_are_a_packet_or_a_violation(data: bytes) -> None:
    for parse in (
        decode.parse_connect,
        decode.parse_subscribe,
        decode.parse_unsubscribe,
        decode.parse_packet_id,
        lambda body: decode.parse_publish(0x32, body),
    ):
        try:
            parse(data)
        except ViolationError:
            continue
