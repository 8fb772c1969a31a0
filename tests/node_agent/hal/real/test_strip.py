"""The real strip over a library that refuses, as it does to who is not root."""

import os
import sys
import types

import pytest

from node_agent.hal.errors import HardwareNotInstalledError
from node_agent.hal.real import handle
from node_agent.hal.real.strip import Ws281xStrip

NOISE = b"Can't open /dev/mem: Permission denied\n"


class Refusing:
    """A PixelStrip whose C library complains on standard error, past Python."""

    made = 0
    begun = 0

    def __init__(self, *_: object, **__: object) -> None:
        type(self).made += 1

    def begin(self) -> None:
        type(self).begun += 1
        os.write(2, NOISE)
        raise RuntimeError("ws2811_init failed with code -5 (mmap() failed)")

    def _cleanup(self) -> None:
        return


@pytest.fixture
def refusing(monkeypatch: pytest.MonkeyPatch) -> type[Refusing]:
    class Strip(Refusing):
        pass

    library = types.ModuleType("rpi_ws281x")
    library.PixelStrip = Strip  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "rpi_ws281x", library)
    return Strip


def show(strip: Ws281xStrip) -> str:
    with pytest.raises(HardwareNotInstalledError) as caught:
        strip.show([])
    return str(caught.value)


def test_a_strip_that_cannot_be_opened_is_not_opened_in_each_cycle(
    refusing: type[Refusing], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("_FIRST_RETRY_S", "_LONGEST_RETRY_S"):
        monkeypatch.setattr(handle, name, 3600.0)
    strip = Ws281xStrip(count=3, pin=18, brightness=64)
    assert len({show(strip) for _ in range(50)}) == 1
    assert (refusing.made, refusing.begun) == (1, 1)


def test_the_librarys_own_complaint_is_not_repeated(
    refusing: type[Refusing], capfd: pytest.CaptureFixture[str]
) -> None:
    strip = Ws281xStrip(count=3, pin=18, brightness=64)
    for _ in range(3):
        # An attempt is due at once.
        strip._handle._retry_at_s = 0.0
        show(strip)
    assert (refusing.made, refusing.begun) == (1, 3)
    assert capfd.readouterr().err == NOISE.decode()
