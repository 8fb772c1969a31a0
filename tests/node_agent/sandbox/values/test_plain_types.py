"""A running instance leaves nothing of wasmtime's to the garbage collector, and leaks nothing."""

import ctypes
import gc
import subprocess
import sys

import pytest
from wasmtime import Engine, Managed, Store
from wasmtime.component import Component, Linker

from node_agent.sandbox.component import LoadedComponent
from node_agent.sandbox.errors import PluginError
from tests.node_agent.sandbox.test_instance import MakeGuest, make_guest
from tests.support import PROJECT

__all__ = ["make_guest"]

# These are closed where they were opened.
_CLOSED_BY_OWNER = (Component, Engine, Linker, Store)
_POLLS = 200
_ROUNDS = 5
_CHILD_S = 120


class _MemoryInfo(ctypes.Structure):
    """What mallinfo2(3) of glibc returns."""

    _fields_ = [
        (name, ctypes.c_size_t)
        for name in (
            *("arena", "ordblks", "smblks", "hblks", "hblkhd"),
            *("usmblks", "fsmblks", "in_use_bytes", "fordblks", "keepcost"),
        )
    ]


def in_use_bytes() -> int:
    info = ctypes.CDLL(None).mallinfo2
    info.restype = _MemoryInfo
    return int(info().in_use_bytes)


def native_objects() -> set[str]:
    """Return the classes of what a garbage collection would have to free in wasmtime."""
    found = set()
    for item in gc.get_objects():
        if isinstance(item, Managed) and not isinstance(item, _CLOSED_BY_OWNER):
            try:
                item.ptr()
            except ValueError:
                continue
            found.add(type(item).__name__)
    return found


@pytest.mark.parametrize("mode", ["count", "complain", "many_readings", "nonsense", "wrong_err"])
def test_no_type_of_wasmtime_outlives_a_call(make_guest: MakeGuest, mode: str) -> None:
    gc.collect()
    gc.disable()
    try:
        guest = make_guest()
        fault = None
        try:
            guest.poll(mode)
        except PluginError as e:
            fault = e
        assert native_objects() == set(), fault
    finally:
        gc.enable()


def test_a_poll_leaks_no_memory(make_guest: MakeGuest) -> None:
    guest = make_guest()

    def poll() -> None:
        for _ in range(_POLLS):
            guest.poll("count")
        gc.collect()

    def growth_bytes() -> int:
        before = in_use_bytes()
        poll()
        return in_use_bytes() - before

    poll()
    # A block of any size that every poll leaks takes 16 bytes and more, in each round; what other
    # threads of the process allocate for themselves comes in some of them.
    assert min(growth_bytes() for _ in range(_ROUNDS)) < _POLLS * 16


def test_collections_on_every_thread_while_plugins_fail_end_no_process(
    mischief: LoadedComponent,
) -> None:
    """In a process of its own: a wrong free aborts it."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.node_agent.sandbox.collecting"],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=_CHILD_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
