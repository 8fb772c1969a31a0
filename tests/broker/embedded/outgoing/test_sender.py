"""Sender of one connection: what waits for the disk is bounded."""

import asyncio

from broker.auth.gate import Identity, Role
from broker.embedded.counters import Counters
from broker.embedded.outgoing.entry import Entry
from broker.embedded.outgoing.sender import Sender
from broker.embedded.packets.model import Publish
from broker.embedded.packets.writer3 import Writer3
from broker.embedded.session import ClientSession
from broker.embedded.store.queue_records import new_delivery
from broker.embedded.store.store import Store
from broker.embedded.store.writer import Durable
from bus.config.broker_table import BrokerConfig

SETTINGS = BrokerConfig(in_flight=4)


class SlowStore(Store):
    """Never has anything on the disk."""

    def put_message(self, *_: object, **__: object) -> Durable:
        return asyncio.get_running_loop().create_future()


class Connection:
    """Takes packets."""

    is_congested = False

    def __init__(self) -> None:
        self.packets: list[bytes] = []
        self.is_aborted = False

    def send(self, packet: bytes) -> None:
        self.packets.append(packet)

    def abort(self) -> None:
        self.is_aborted = True


def test_a_client_that_repeats_its_pubrec_is_cut_off() -> None:
    async def run() -> None:
        identity = Identity("pi4", Role.NODE)
        delivery = new_delivery(SETTINGS)
        session = ClientSession("k", "c", identity, delivery, lambda _: True, is_kept=True)  # type: ignore[arg-type]
        connection, cut = Connection(), []
        sender = Sender(
            session,
            connection,  # type: ignore[arg-type]
            Writer3(),
            store=SlowStore(None, SETTINGS),
            counters=Counters(),
            on_overflow=lambda: cut.append(True),
        )
        session.link = sender
        entry = Entry(Publish("t", b"x", 2, retain=False, packet_id=0), message_id=1)
        packet_id = sender.reserve(entry)
        assert packet_id
        sender.write(entry, packet_id)
        for _ in range(100):
            sender.release(packet_id)
        assert len(sender._unwritten) <= 2 * SETTINGS.in_flight + 1
        assert connection.is_aborted
        assert cut == [True]

    asyncio.run(run())
