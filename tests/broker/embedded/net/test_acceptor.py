"""The acceptor of connections beside the other work of its loop."""

import asyncio
import logging
import socket

from broker.embedded.counters import Counters
from broker.embedded.net.acceptor import Acceptor, bind
from broker.embedded.net.admission import Admission, Place
from broker.embedded.net.listener import Listener
from bus.limited_log import LimitedLog
from tests.support import HOST, WAIT_S, free_port

PEERS = 20


def test_each_round_of_the_loop_accepts_one_connection_at_most() -> None:
    listener = Listener(HOST, free_port())
    rounds_of: list[int] = []

    async def accept() -> None:
        rounds, all_accepted = 0, asyncio.Event()

        async def serve(_listener: Listener, sock: socket.socket, _place: Place) -> None:
            rounds_of.append(rounds)
            sock.close()
            if len(rounds_of) == PEERS:
                all_accepted.set()

        bound = bind(listener)
        peers = [socket.create_connection((HOST, listener.port)) for _ in range(PEERS)]
        acceptor = Acceptor(
            listener,
            bound,
            serve,
            admission=Admission(
                connections=100, per_address=100, logins=100, logins_per_address=100
            ),
            counters=Counters(),
            log=LimitedLog(logging.getLogger("broker")),
            queue_s=60.0,
        )
        while not all_accepted.is_set():
            rounds += 1
            await asyncio.sleep(0)
        await acceptor.close()
        for peer in peers:
            peer.close()

    asyncio.run(accept())
    assert len(set(rounds_of)) == PEERS


def test_a_connection_that_ends_before_it_is_served_leaves_no_socket_and_no_place() -> None:
    listener = Listener(HOST, free_port())
    admission = Admission(connections=100, per_address=100, logins=100, logins_per_address=100)
    accepted: list[socket.socket] = []

    class Watched(Acceptor):
        def _accepted(self, sock: socket.socket, address: str) -> None:
            accepted.append(sock)
            super()._accepted(sock, address)
            assert admission.waiting == 1
            for task in self._tasks:
                task.cancel()

    async def accept() -> None:
        async def serve(_listener: Listener, _sock: socket.socket, _place: Place) -> None:
            raise AssertionError("it was cancelled before")

        acceptor = Watched(
            listener,
            bind(listener),
            serve,
            admission=admission,
            counters=Counters(),
            log=LimitedLog(logging.getLogger("broker")),
            queue_s=60.0,
        )
        with socket.create_connection((HOST, listener.port)) as peer:
            peer.settimeout(WAIT_S)
            assert await asyncio.to_thread(peer.recv, 1) == b""
        await acceptor.close()

    asyncio.run(accept())
    assert [sock.fileno() for sock in accepted] == [-1]
    assert admission.waiting == 0
