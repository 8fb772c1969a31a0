"""Nursery: a process that has imported a program, and forks it for each test that starts it.

Importing the hub takes half a second of processor time, an agent a quarter, forking next to none.
What is forked is a process of its own, with a session, an environment and an output of its own.
"""

import gc
import importlib
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Sequence
from pathlib import Path

import msgspec

from bus import struct_types

_PROJECT = Path(__file__).parent.parent
_MOST_BYTES = 1 << 20
# What an interpreter or a loader reads once, at its start.
_READ_AT_START = ("COVERAGE_", "LD_", "PYTHON")


class Birth(msgspec.Struct, frozen=True, tag=True):
    """Request for a process."""

    arguments: list[str]
    environment: dict[str, str]
    folder: str
    output: str


class End(msgspec.Struct, frozen=True, tag=True):
    """Request for the exit code of a process that ended."""

    pid: int


class Forked:
    """A process that a nursery forked, with the part of `subprocess.Popen` that tests use."""

    def __init__(self, nursery: "Nursery", pid: int) -> None:
        self._nursery = nursery
        self.pid = pid
        self.returncode: int | None = None
        self._handle = os.pidfd_open(pid)
        # Not before: another thread may be waiting for it.
        weakref.finalize(self, os.close, self._handle)
        # The nursery can tell an exit code only once.
        self._asking = threading.Lock()

    def poll(self) -> int | None:
        return self.returncode if self.returncode is not None else self._look(0)

    def wait(self, timeout: float | None = None) -> int:
        if self.returncode is None and self._look(timeout) is None:
            raise subprocess.TimeoutExpired(f"process {self.pid}", timeout or 0)
        assert self.returncode is not None
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            signal.pidfd_send_signal(self._handle, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def _look(self, timeout_s: float | None) -> int | None:
        poller = select.poll()
        poller.register(self._handle, select.POLLIN)
        if poller.poll(None if timeout_s is None else timeout_s * 1000):
            with self._asking:
                if self.returncode is None:
                    self.returncode = self._nursery.ask(End(self.pid))
        return self.returncode


class Nursery:
    """The process that forks a program: a module with a function `main`."""

    def __init__(self, module: str) -> None:
        self._lock = threading.Lock()
        self._environment = _read_at_start()
        self._link, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._link.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _MOST_BYTES)
        with theirs:
            # It ends with this process, which holds the other end of its link.
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.nursery", module, str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                # A test may be in another folder.
                cwd=_PROJECT,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                start_new_session=True,
            )

    def suits(self) -> bool:
        """Whether a process of this environment may be forked: much is read at a start only."""
        here = _read_at_start()
        return here == self._environment and not any(k.startswith("COVERAGE_") for k in here)

    def fork(self, arguments: Sequence[str], output: Path) -> Forked:
        birth = Birth([*arguments], dict(os.environ), str(Path.cwd()), str(output.absolute()))
        return Forked(self, self.ask(birth))

    def ask(self, request: Birth | End) -> int:
        with self._lock:
            self._link.send(msgspec.json.encode(request))
            answer = self._link.recv(100)
        assert answer, "the nursery has ended; what it printed says why"
        return int(answer)


def _read_at_start() -> dict[str, str]:
    return {key: value for key, value in os.environ.items() if key.startswith(_READ_AT_START)}


def _serve(link: socket.socket) -> Birth | None:
    """Fork for each request; return it in the process that was forked, and nothing at the end."""
    while data := link.recv(_MOST_BYTES):
        request = msgspec.json.decode(data, type=Birth | End)
        if isinstance(request, End):
            status = os.waitpid(request.pid, 0)[1]
            link.send(b"%d" % os.waitstatus_to_exitcode(status))
        elif pid := os.fork():
            link.send(b"%d" % pid)
        else:
            return request
    return None


def _become(birth: Birth) -> None:
    os.setsid()
    os.environ.clear()
    os.environ.update(birth.environment)
    time.tzset()
    os.chdir(birth.folder)
    output = os.open(birth.output, os.O_WRONLY | os.O_APPEND)
    for standard in (1, 2):
        os.dup2(output, standard)
    os.close(output)
    sys.argv[1:] = birth.arguments


def _main(module: str, descriptor: int) -> None:
    program = importlib.import_module(module)
    if len(threads := list(Path("/proc/self/task").iterdir())) > 1:
        # A lock that one of them holds would stay held in what is forked.
        raise RuntimeError(f"importing {module} starts threads: found {len(threads)}, expected 1")
    struct_types.prepare()
    gc.collect()
    gc.freeze()
    with socket.socket(fileno=descriptor) as link:
        birth = _serve(link)
    if birth is not None:
        _become(birth)
        sys.exit(program.main())


if __name__ == "__main__":
    _main(sys.argv[1], int(sys.argv[2]))
