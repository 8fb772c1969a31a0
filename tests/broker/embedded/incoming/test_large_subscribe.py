"""A SUBSCRIBE with many filters: what it does where it is malformed."""

from tests.broker.embedded.raw import DISCONNECT, RawClient, packet, subscribe
from tests.broker.embedded.switch import ours_only
from tests.support import embedded_broker, free_port

pytestmark = ours_only

MANY = [(f"many/{number}", 1) for number in range(1_000)]


def test_a_malformed_one_ends_the_connection_and_its_will_is_published() -> None:
    port = free_port()
    malformed = packet(0x82, subscribe(*MANY)[3:] + b"\0\7cut")
    with embedded_broker(port), RawClient(port) as ear:
        assert ear.connect("ear") == 0
        ear.subscribe(("wills", 1))
        with RawClient(port) as client:
            assert client.connect("client", will=("wills", b"gone", 1, False)) == 0
            client.send(malformed)
            assert client.is_closed()
        assert ear.receive().payload == b"gone"
        # One whose DISCONNECT is there already ends as well.
        with RawClient(port) as client:
            assert client.connect("client") == 0
            client.send(malformed + DISCONNECT)
            assert client.is_closed()
