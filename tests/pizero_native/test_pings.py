import logging
import queue
import threading

import pytest
from icmplib.exceptions import SocketPermissionError, TimeoutExceeded

from bus.config.settings import PingsConfig
from bus.contract.messages import Value
from pizero_native import ping, pings
from pizero_native.ping import NoAnswerError, PingNotAllowedError, needs_privilege, round_trip_ms
from pizero_native.pings import Pings
from tests.support import WAIT_S

# The kernel refuses a ping to the broadcast address, so it is down and no packet leaves.
DEAD_HOST = "255.255.255.255"


class SilentLink:
    """A socket on which nothing ever arrives."""

    def send(self, _request: object) -> None: ...

    def receive(self, _request: object, timeout: float) -> None:
        raise TimeoutExceeded(timeout)


class ForbiddenSocket:
    def __init__(self, *, privileged: bool) -> None:
        raise SocketPermissionError(privileged)


def test_this_machine_answers() -> None:
    rtt_ms = round_trip_ms("127.0.0.1", WAIT_S, threading.Event(), privileged=needs_privilege())
    assert 0 < rtt_ms < WAIT_S * 1000


@pytest.mark.parametrize("host", [DEAD_HOST, "a..b", "x" * 300])
def test_a_host_that_cannot_be_reached_gives_no_answer(host: str) -> None:
    with pytest.raises(NoAnswerError, match=host[:10]):
        round_trip_ms(host, 0.2, threading.Event(), privileged=needs_privilege())


def test_silence_ends_at_the_timeout() -> None:
    with pytest.raises(NoAnswerError, match=r"no answer within 0\.05 s"):
        ping._echo_ms(SilentLink(), "192.0.2.1", 0.05, threading.Event())  # type: ignore[arg-type]


def test_no_right_to_ping_is_said_once_with_what_is_missing(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(ping, "ICMPv4Socket", ForbiddenSocket)
    with pytest.raises(PingNotAllowedError, match="CAP_NET_RAW"):
        needs_privilege()
    with Pings(PingsConfig(hosts={"a": "127.0.0.1", "b": "127.0.0.1"}), print):
        pass
    [record] = caplog.records
    assert record.levelno == logging.ERROR
    assert "net.ipv4.ping_group_range" in record.getMessage()


def test_a_dead_host_delays_nobody_and_is_logged_once(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Threads that starve end late.
    monkeypatch.setattr(pings, "_JOIN_S", WAIT_S)
    heard: queue.SimpleQueue[tuple[str, dict[str, Value]]] = queue.SimpleQueue()
    hosts = {"dead": DEAD_HOST, "here": "127.0.0.1"}
    found: dict[str, list[dict[str, Value]]] = {"ping-dead": [], "ping-here": []}
    config = PingsConfig(hosts=hosts, interval_s=0.05, timeout_s=10)
    with Pings(config, lambda *reading: heard.put(reading)):
        while min(map(len, found.values())) < 3:
            sensor_id, data = heard.get(timeout=WAIT_S)
            found[sensor_id].append(data)
    assert found["ping-dead"][0] == {"host": DEAD_HOST, "up": False}
    assert found["ping-here"][0].keys() == {"host", "up", "rtt_ms"}
    assert sum("ping-dead: fault" in record.getMessage() for record in caplog.records) == 1
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("ping-")]
