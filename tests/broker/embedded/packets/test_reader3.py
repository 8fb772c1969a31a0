"""Reader of MQTT 3.1.1: any bytes are a packet or a violation."""

import functools

from hypothesis import given
from hypothesis import strategies as st

from broker.embedded.packets.connect import parse_connect
from broker.embedded.packets.model import PacketType, ViolationError
from broker.embedded.packets.reader3 import Reader3


@given(st.binary(max_size=60))
def test_any_bytes_are_a_packet_or_a_violation(data: bytes) -> None:
    reader = Reader3()
    for parse in (
        parse_connect,
        reader.subscribe,
        reader.unsubscribe,
        functools.partial(reader.acknowledgement, PacketType.PUBACK),
        reader.disconnect,
        lambda body: reader.publish(0x32, body),
    ):
        try:
            parse(data)
        except ViolationError:
            continue
