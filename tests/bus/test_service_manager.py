"""Notifications to a service manager, received on a real datagram socket."""

import os
import secrets
import signal
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from bus.install import vital_signs
from bus.install.vital_signs import VitalSigns
from bus.service_manager import ServiceManager, stop_signals


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[socket.socket, str]]:
    """Yield a socket that hears as systemd does, and how $NOTIFY_SOCKET names it."""
    is_abstract = request.param == "abstract"
    name = f"@harvester-{secrets.token_hex(8)}" if is_abstract else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind("\0" + name[1:] if is_abstract else name)
        receiver.setblocking(False)
        yield receiver, name


def heard(receiver: socket.socket) -> list[str]:
    return receiver.recv(4096).decode().split("\n")


def test_each_notification_arrives(manager: tuple[socket.socket, str]) -> None:
    receiver, name = manager
    service = ServiceManager({"NOTIFY_SOCKET": name, "WATCHDOG_USEC": "30000000"})
    assert service.interval_s == 10.0
    service.starting("web.port:\n taken")
    assert heard(receiver) == ["EXTEND_TIMEOUT_USEC=30000000", "STATUS=web.port: taken"]
    service.ready()
    assert heard(receiver) == ["READY=1", "STATUS="]
    service.keep_alive()
    assert heard(receiver) == ["WATCHDOG=1"]
    service.show(VitalSigns(stored=3, faults=1), "the disk\nis full")
    (line,) = heard(receiver)
    assert line == "STATUS=stored=3 faults=1 loading=0 connected=0: the disk is full"
    assert vital_signs.parse(line) == VitalSigns(stored=3, faults=1)
    service.stopping()
    assert heard(receiver) == ["STOPPING=1"]


@pytest.mark.parametrize(
    "watchdog",
    [
        {},
        {"WATCHDOG_USEC": "soon"},
        {"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid() + 1)},
    ],
    ids=["none", "nonsense", "of another process"],
)
def test_without_a_watchdog_of_its_own_a_process_keeps_none_alive(
    manager: tuple[socket.socket, str], watchdog: dict[str, str]
) -> None:
    receiver, name = manager
    ServiceManager({"NOTIFY_SOCKET": name, **watchdog}).keep_alive()
    with pytest.raises(BlockingIOError):
        receiver.recv(1)


@pytest.mark.parametrize("name", ["", "relative", "/nowhere/at/all", "@nobody-hears-this"])
def test_a_service_manager_that_is_not_there_disturbs_nobody(name: str) -> None:
    service = ServiceManager({"NOTIFY_SOCKET": name, "WATCHDOG_USEC": "1000000"})
    service.ready()
    service.keep_alive()


def test_a_service_manager_that_reads_nothing_blocks_nobody(
    manager: tuple[socket.socket, str],
) -> None:
    _, name = manager
    service = ServiceManager({"NOTIFY_SOCKET": name, "WATCHDOG_USEC": "1000000"})
    for _ in range(1000):
        service.keep_alive()


def test_a_long_wait_keeps_the_service_alive(manager: tuple[socket.socket, str]) -> None:
    receiver, name = manager
    service = ServiceManager({"NOTIFY_SOCKET": name, "WATCHDOG_USEC": "60000"})
    asked: list[float] = []

    def is_over(timeout_s: float) -> bool:
        asked.append(timeout_s)
        return len(asked) == 4

    assert service.wait(3600, is_over)
    assert asked == [0.02] * 4
    assert [heard(receiver) for _ in range(3)] == [["WATCHDOG=1"]] * 3


def test_a_wait_ends_after_its_time(manager: tuple[socket.socket, str]) -> None:
    _, name = manager
    service = ServiceManager({"NOTIFY_SOCKET": name})
    assert not service.wait(0.01, threading.Event().wait)
    assert not service.wait(-1.0, threading.Event().wait)


def test_a_terminal_that_closes_asks_to_stop_but_not_under_nohup() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    try:
        assert set(stop_signals()) == {signal.SIGTERM, signal.SIGINT, signal.SIGHUP}
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        assert set(stop_signals()) == {signal.SIGTERM, signal.SIGINT}
    finally:
        signal.signal(signal.SIGHUP, before)
