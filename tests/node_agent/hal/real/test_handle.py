import threading

import pytest

from node_agent.hal.errors import DeviceUnavailableError
from node_agent.hal.real.handle import Handle


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


def test_a_device_that_could_not_be_opened_is_tried_again() -> None:
    attempts: list[int] = []

    def acquire() -> str:
        attempts.append(1)
        if len(attempts) == 1:
            raise OSError("not yet")
        return "device"

    handle = Handle("the toaster", acquire, lambda _: None)
    with pytest.raises(OSError, match="not yet"), handle.use():
        pass
    with handle.use() as lent:
        assert lent == "device"


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
            leave.wait(5)
            assert not second_in.is_set()

    def second() -> None:
        with handle.use():
            second_in.set()

    threads = [threading.Thread(target=first), threading.Thread(target=second)]
    threads[0].start()
    assert entered.wait(5)
    threads[1].start()
    assert not second_in.wait(0.05)
    leave.set()
    for thread in threads:
        thread.join(5)
    assert second_in.is_set()
