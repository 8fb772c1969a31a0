"""Kill and restart with sessions of MQTT 5: QoS 2 comes once, and what expires is gone."""

import itertools
import random
import threading
import time
from collections.abc import Callable
from pathlib import Path

from tests.broker.embedded.exactly_once import Publisher, Subscriber, serve
from tests.broker.embedded.killed import killed
from tests.broker.embedded.raw import PUBLISH, PUBREL, SUBACK, RawClient, packet, uint16
from tests.broker.embedded.switch import ours_only
from tests.broker.embedded.version5.raw5 import AS_PUBLISHED, NO_LOCAL, Raw5, connect5
from tests.support import WAIT_S, free_port

pytestmark = ours_only

KILLS = 4
MESSAGES = 200


class Translated(RawClient):
    """Client of MQTT 5 for what is written for 3.1.1: it adds and removes empty properties."""

    def __init__(self, port: int, name: str) -> None:
        super().__init__(port)
        super().send(connect5(name, clean=False, session_expiry_s=600))
        answer = super().read()
        assert answer is not None
        assert answer[1][1] == 0

    def send(self, data: bytes) -> None:
        kind, body = data[0] >> 4, data[2:]
        if kind == PUBLISH:
            end = 2 + int.from_bytes(body[:2]) + 2
            data = packet(data[0], body[:end] + b"\0" + body[end:])
        elif kind == 8:
            data = packet(data[0], body[:2] + b"\0" + body[2:])
        super().send(data)

    def read(self, timeout_s: float = WAIT_S) -> tuple[int, bytes] | None:
        found = super().read(timeout_s)
        if found is None or found[0] >> 4 not in (PUBLISH, SUBACK):
            return found
        first, body = found
        end = 2 if first >> 4 == SUBACK else 2 + int.from_bytes(body[:2]) + 2
        assert body[end] == 0
        return first, body[:end] + body[end + 1 :]


def test_each_message_comes_once_through_kills(tmp_path: Path) -> None:
    port, rng = free_port(), random.Random(5)
    sides = Publisher(MESSAGES), Subscriber()
    for _ in range(KILLS):
        with killed(port, tmp_path):
            with Translated(port, "sub") as sub:
                sides[1].resume(sub)
            traffic = Traffic(port, sides, rng.randrange(10, 120))
        traffic.join()
    with killed(port, tmp_path):
        for _ in range(100):
            Traffic(port, sides, 10 * MESSAGES).join()
            if sides[0].is_done and len(sides[1].received) >= MESSAGES:
                break
    assert sorted(sides[1].received) == list(range(MESSAGES))


class Traffic:
    """Both sides at work in threads, until one of them has handled so many packets."""

    def __init__(self, port: int, sides: tuple[Publisher, Subscriber], packets: int) -> None:
        reached = threading.Event()
        self._clients = [Translated(port, name) for name in ("publisher", "sub")]
        self._threads = [
            threading.Thread(target=serve, args=(side, client, packets, reached))
            for side, client in zip(sides, self._clients, strict=True)
        ]
        for thread in self._threads:
            thread.start()
        reached.wait(WAIT_S)

    def join(self) -> None:
        """Wait until both have nothing more to do, or the broker is gone."""
        for thread in self._threads:
            thread.join(WAIT_S)
        for client in self._clients:
            client.sock.close()


def test_a_kill_keeps_sessions_options_and_what_is_left_of_an_expiry(tmp_path: Path) -> None:
    port = free_port()
    with killed(port, tmp_path):
        with _client(port, "away", session_expiry_s=600) as away:
            away.subscribe5(("t", 1 | NO_LOCAL | AS_PUBLISHED), identifier=7)
        with _client(port, "brief", session_expiry_s=1) as brief:
            brief.subscribe5(("t", 1))
        with _client(port, "unkept") as unkept:
            unkept.subscribe5(("t", 1))
        with _client(port, "mouth") as mouth:
            mouth.publish5("t", b"brief", 1, message_expiry_s=1)
            mouth.publish5("t", b"long", 1, retain=True, message_expiry_s=600)
            began_s = time.monotonic()
    with killed(port, tmp_path):
        _wait(lambda: time.monotonic() - began_s > 1.5)
        with _client(port, "away", clean=False, session_expiry_s=600) as away:
            assert away.connack.session_present
            (found,) = away.take5(1)
            assert (found.payload, found.retain) == (b"long", True)
            assert found.properties.subscription_ids == (7,)
            assert (found.properties.message_expiry_s or 0) < 600
            away.publish5("t", b"own", 1)
            assert away.rest5() == []
        _wait(lambda: not _is_present(port, "brief"))
        assert not _is_present(port, "unkept")


def _is_present(port: int, name: str) -> bool:
    with _client(port, name, clean=False, session_expiry_s=1) as client:
        is_present = client.connack.session_present
        client.leave(session_expiry_s=0 if not is_present else 1)
    return is_present


def _wait(wanted: Callable[[], bool]) -> None:
    """Wait until something holds that only time brings about."""
    pause = threading.Event()
    for _ in itertools.repeat(None, 20):
        if wanted():
            return
        pause.wait(1.6)
    raise AssertionError("it did not come to that")


def _client(port: int, name: str, **options: object) -> Raw5:
    client = Raw5(port)
    client.open(name, **options)
    return client


def test_a_session_that_lasts_as_long_as_its_connection_leaves_nothing(tmp_path: Path) -> None:
    port = free_port()
    with killed(port, tmp_path), _client(port, "c", session_expiry_s=600) as client:
        client.subscribe5(("t", 2))
        client.leave()
        # It resumes the session, which ends with this connection now.
        with _client(port, "c", clean=False) as again:
            assert again.connack.session_present
            with _client(port, "mouth") as mouth:
                mouth.publish5("t", b"x", 2)
                # On the disk with its acknowledgement, and so is all that came before it.
                mouth.publish5("other", b"y", 1, retain=True)
            assert again.next5().payload == b"x"
            again.send(packet(0x50, uint16(1)))
            again.answer(PUBREL)
    with killed(port, tmp_path), _client(port, "c", clean=False, session_expiry_s=600) as client:
        assert not client.connack.session_present
