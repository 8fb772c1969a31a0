"""Reconnect storms: no client is dropped, no message is lost, nothing is left behind."""

import itertools
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

from tests.broker.embedded.gates import OwnTopics
from tests.broker.embedded.raw import PUBACK, publish
from tests.broker.embedded.running import Running, open_sockets, running
from tests.support import WAIT_S, OpenGate

CLIENTS = 30
ROUNDS = 20


def test_a_reconnect_storm_drops_nobody() -> None:
    with running() as broker:
        retainer = broker.client("retainer")
        for n in range(20):
            retainer.publish(f"retained/{n}", b"x" * 50, retain=True)

        def visit(n: int) -> int:
            client = broker.client(f"node{n}", clean=n % 2 == 0)
            client.subscribe(("retained/#", 1))
            got = len(client.take(20))
            client.reset()
            return got

        with ThreadPoolExecutor(CLIENTS) as pool:
            got = [sum(pool.map(visit, range(CLIENTS))) for _ in range(ROUNDS)]
        assert got == [CLIENTS * 20] * ROUNDS


def test_a_subscriber_that_comes_and_goes_gets_everything_in_order() -> None:
    count = 2_000
    with running() as broker:
        broker.client("sub", clean=False).subscribe(("t", 1))
        seen: list[bytes] = []
        done = threading.Event()

        def listen() -> None:
            visits = 0
            while len(set(seen)) < count and not done.is_set():
                client = broker.client("sub", clean=False)
                seen.extend(m.payload for m in client.take_some(60, 0.3))
                visits += 1
                if visits % 2:
                    client.disconnect()
                else:
                    client.reset()

        reader = threading.Thread(target=listen)
        reader.start()
        _publish_paced(broker, count)
        reader.join(WAIT_S)
        done.set()
        reader.join(WAIT_S)
        assert sorted(set(seen), key=int) == [b"%d" % n for n in range(count)]
        firsts = list(dict.fromkeys(seen))
        assert firsts == sorted(firsts, key=int)


def _publish_paced(broker: Running, count: int) -> None:
    pub = broker.client("pub")
    pause = threading.Event()
    for n in range(0, count, 20):
        burst = range(n, n + 20)
        pub.send(b"".join(publish("t", b"%d" % i, 1, packet_id=i + 1) for i in burst))
        for _ in burst:
            pub.expect(PUBACK)
        pause.wait(0.005)


def test_a_healthy_subscriber_loses_nothing_while_others_subscribe() -> None:
    count = 1_000
    with running(OwnTopics()) as broker:
        # Another filter that matches, looked at before.
        broker.client("first", username="boss").subscribe(("load/#", 0))
        sub = broker.client("boss")
        sub.subscribe(("load/t", 1))
        stop = threading.Event()

        def churn(n: int) -> None:
            for visit in itertools.count():
                if stop.is_set():
                    return
                client = broker.client(f"{n}.{visit}", username="churn")
                client.subscribe(*((f"churn/{n}/{visit}/{i}", 1) for i in range(10)))
                client.reset()

        with ThreadPoolExecutor(9) as pool:
            taken = pool.submit(lambda: [m.payload for m in sub.take(count)])
            for n in range(8):
                pool.submit(churn, n)
            pub = broker.client("load")
            for n in range(count):
                pub.publish("load/t", b"%d" % n)
            try:
                assert taken.result(WAIT_S) == [b"%d" % n for n in range(count)]
            finally:
                stop.set()


def test_storms_leave_no_session_no_socket_and_no_filter() -> None:
    with running() as broker:
        before = open_sockets()

        def visit(n: int) -> None:
            client = broker.raw()
            client.connect(f"c{n % 5}", will=("will", b"x", 1, False))
            client.send(b"\x82\x06\0\1\0\1t\1")
            client.reset() if n % 2 else client.sock.close()

        with ThreadPoolExecutor(10) as pool:
            list(pool.map(visit, range(200)))
        broker.wait_until(lambda: open_sockets() <= before)
        broker.wait_until(lambda: broker.sessions() == 0)
        assert broker.filters() == 0


def _quietly(action: Callable[[], object]) -> None:
    try:
        action()
    except OSError:
        return


def test_a_flood_and_a_stalled_subscriber_cost_a_bystander_little() -> None:
    """Measured in messages of the flood, not in seconds: a slow machine slows both down."""
    with running(OpenGate()) as broker:
        stalled = broker.client("stalled")
        stalled.subscribe(("flood", 0), ("flood1", 1))
        stop = threading.Event()
        acknowledged = itertools.count()

        def flood(qos: int) -> None:
            client = broker.client(f"flood{qos}")
            topic = "flood1" if qos else "flood"
            burst = b"".join(publish(topic, b"x" * 100, qos, packet_id=n + 1) for n in range(200))
            while not stop.is_set():
                client.send(burst)
                for _ in range(200 * qos):
                    client.expect(PUBACK)
                    next(acknowledged)

        threads = [
            threading.Thread(target=_quietly, args=(lambda qos=qos: flood(qos),)) for qos in (0, 1)
        ]
        for thread in threads:
            thread.start()
        overtaken = _overtaken(broker, acknowledged, 300)
        stop.set()
        broker.close_clients()
        for thread in threads:
            thread.join()
    # The flood's threads share the interpreter with the broker: bench/broker.py measures it apart.
    assert overtaken[int(len(overtaken) * 0.95)] < 1_000


def _overtaken(broker: Running, acknowledged: Iterator[int], count: int) -> list[int]:
    """Return how many messages of a flood were acknowledged during each round trip of another."""
    client = broker.client("bystander", keep_alive_s=60)
    client.subscribe(("bystander", 1))
    overtaken = []
    for _ in range(count):
        before = next(acknowledged)
        client.publish("bystander", b"x")
        client.take(1)
        overtaken.append(next(acknowledged) - before)
    return sorted(overtaken)
