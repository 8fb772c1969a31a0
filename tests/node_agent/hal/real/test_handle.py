import threading

import pytest

from node_agent.hal.errors import DeviceUnavailableError, HardwareNotInstalledError
from node_agent.hal.real.handle import Handle
from tests.support import WAIT_S


class Device:
    """Counts how often it is opened and closed, and whether two use it at once."""

    def __init__(self) -> None:
        self.log: list[str] = []

    def acquire(self) -> str:
        self.log.append("open")
        return f"device {self.log.count('open')}"

    def release(self, _: str) -> None:
        self.log.append("close")


@pytest.fixture
def device() -> Device:
    return Device()


@pytest.fixture
def handle(device: Device) -> Handle[str]:
    return Handle("the toaster", device.acquire, device.release)


def test_a_device_is_opened_when_it_is_first_used_and_kept(
    device: Device, handle: Handle[str]
) -> None:
    assert device.log == []
    for _ in range(2):
        with handle.use() as lent:
            assert lent == "device 1"
    assert device.log == ["open"]


class Absent:
    """A device that cannot be opened before `there_at_s`, on a clock of its own."""

    def __init__(self, there_at_s: float) -> None:
        self.now_s = 0.0
        self.attempts_s: list[float] = []
        self._there_at_s = there_at_s
        self.handle = Handle("the toaster", self._acquire, lambda _: None, lambda: self.now_s)

    def _acquire(self) -> str:
        self.attempts_s.append(self.now_s)
        if self.now_s < self._there_at_s:
            raise HardwareNotInstalledError(f"no toaster at {self.now_s:g} s")
        return "device"

    def use(self) -> str:
        with self.handle.use() as lent:
            return lent


def test_a_device_that_could_not_be_opened_is_tried_again_after_a_growing_while() -> None:
    absent = Absent(there_at_s=1000.0)
    for second in range(200):
        absent.now_s = float(second)
        with pytest.raises(HardwareNotInstalledError):
            absent.use()
    assert absent.attempts_s == [0, 1, 3, 7, 15, 31, 63, 123, 183]
    absent.now_s = 1000.0
    assert absent.use() == "device"


def test_the_refusal_stays_the_same_until_the_next_attempt() -> None:
    absent = Absent(there_at_s=1000.0)
    for absent.now_s in (0.0, 0.5, 0.9):
        with pytest.raises(HardwareNotInstalledError, match="no toaster at 0 s"):
            absent.use()
    absent.now_s = 1.0
    with pytest.raises(HardwareNotInstalledError, match="no toaster at 1 s"):
        absent.use()


def test_a_device_that_was_there_is_opened_at_once_after_it_was_dropped() -> None:
    absent = Absent(there_at_s=1.0)
    with pytest.raises(HardwareNotInstalledError):
        absent.use()
    absent.now_s = 1.0
    absent.use()
    absent.handle.drop()
    absent.use()
    assert absent.attempts_s == [0.0, 1.0, 1.0]


def test_a_dropped_device_is_opened_anew(device: Device, handle: Handle[str]) -> None:
    with handle.use():
        handle.drop()
    with handle.use() as lent:
        assert lent == "device 2"
    assert device.log == ["open", "close", "open"]


def test_closing_twice_is_fine_and_use_after_it_is_an_error(
    device: Device, handle: Handle[str]
) -> None:
    with handle.use():
        pass
    handle.close()
    handle.close()
    assert device.log == ["open", "close"]
    with pytest.raises(DeviceUnavailableError, match="the toaster is closed"), handle.use():
        pass


def test_what_was_never_used_is_never_opened(device: Device, handle: Handle[str]) -> None:
    handle.close()
    assert device.log == []


def test_one_thread_at_a_time_uses_the_device(handle: Handle[str]) -> None:
    entered, leave, second_in = threading.Event(), threading.Event(), threading.Event()

    def first() -> None:
        with handle.use():
            entered.set()
            leave.wait(WAIT_S)
            assert not second_in.is_set()

    def second() -> None:
        with handle.use():
            second_in.set()

    threads = [threading.Thread(target=first), threading.Thread(target=second)]
    threads[0].start()
    assert entered.wait(WAIT_S)
    threads[1].start()
    assert not second_in.wait(0.05)
    leave.set()
    for thread in threads:
        thread.join(WAIT_S)
    assert second_in.is_set()
