"""A program kept alive as systemd keeps a unit: started again some time after it died."""

import contextlib
import os
import resource
import signal
import subprocess
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Self

from bus.clock import now_ms
from bus.config.command_line import EXIT_MISCONFIGURED
from tests.chaos.truth import Hit
from tests.support import WAIT_S

_PIECE_BYTES = 65_536


class Unit:
    """One program, from entering to leaving the context; everything it says goes to `log`.

    A unit that ends with EXIT_MISCONFIGURED stays down (RestartPreventExitStatus=2).
    """

    def __init__(
        self,
        node: str,
        command: Sequence[str],
        log: Path,
        restart_s: float,
        *,
        starts: bool = True,
    ) -> None:
        """`starts` False: it stays down until `start`."""
        self.node = node
        self.log = log
        self.starts = 0
        self.exit_codes: list[int] = []
        self._command = command
        self._restart_s = restart_s
        self._process: subprocess.Popen[bytes] | None = None
        self._may_run = threading.Event()
        if starts:
            self._may_run.set()
        self._leaving = threading.Event()
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._keep_alive, name=f"unit-{node}")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._leaving.set()
        self._may_run.set()
        self._end(signal.SIGCONT)
        self._end(signal.SIGTERM)
        self._thread.join(WAIT_S)
        if self._thread.is_alive():
            self._end(signal.SIGKILL)
            self._thread.join(WAIT_S)

    @property
    def is_misconfigured(self) -> bool:
        return EXIT_MISCONFIGURED in self.exit_codes

    def output(self) -> str:
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def start(self) -> None:
        self._may_run.set()

    def kill(self) -> Hit:
        """End the process at once; return when that was."""
        return self._end_and_wait(signal.SIGKILL)

    def restart(self) -> Hit:
        """Ask the process to stop, as `systemctl restart` does."""
        return self._end_and_wait(signal.SIGTERM)

    @contextlib.contextmanager
    def frozen(self) -> Iterator[None]:
        """Let the process do nothing within."""
        process = self._running()
        process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            process.send_signal(signal.SIGCONT)

    @contextlib.contextmanager
    def without_disk(self) -> Iterator[None]:
        """Refuse every write of the process to a file within; pipes and sockets take theirs."""
        pid = self._running().pid
        _, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, hard))
        try:
            yield
        finally:
            # It may have died of it.
            with contextlib.suppress(ProcessLookupError):
                resource.prlimit(pid, resource.RLIMIT_FSIZE, (hard, hard))

    @contextlib.contextmanager
    def held_down(self) -> Iterator[Hit]:
        """Kill the process, and start it again after what is done within."""
        self._running()
        self._may_run.clear()
        try:
            yield self.kill()
        finally:
            self._may_run.set()

    def _end_and_wait(self, number: signal.Signals) -> Hit:
        ended, from_ms = len(self.exit_codes), now_ms()
        self._running().send_signal(number)
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.exit_codes) > ended, WAIT_S), self.node
        return Hit(self.node, from_ms, now_ms())

    def _running(self) -> "subprocess.Popen[bytes]":
        def process() -> "subprocess.Popen[bytes] | None":
            found = self._process
            return found if found is not None and found.returncode is None else None

        with self._changed:
            found = self._changed.wait_for(process, WAIT_S)
        assert found is not None, f"{self.node} does not run: {self.output()[-2000:]}"
        return found

    def _end(self, number: signal.Signals) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(number)

    def _keep_alive(self) -> None:
        with self.log.open("ab", buffering=0) as log:
            while not self._leaving.is_set() and not self.is_misconfigured:
                self._may_run.wait()
                if not self._leaving.is_set():
                    self._live(log)
                    self._leaving.wait(self._restart_s)

    def _live(self, log: IO[bytes]) -> None:
        # Through a pipe: a process that can write no file still says why.
        with subprocess.Popen(
            self._command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        ) as process:
            self._tell(process)
            assert process.stdout is not None
            while piece := os.read(process.stdout.fileno(), _PIECE_BYTES):
                log.write(piece)
            process.wait()
        # What it started, such as a compiler, ends with it (KillMode=control-group).
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        with self._changed:
            self.exit_codes.append(process.returncode)
            self._changed.notify_all()

    def _tell(self, process: "subprocess.Popen[bytes]") -> None:
        with self._changed:
            self._process = process
            self.starts += 1
            self._changed.notify_all()


class Record:
    """What a unit's simulated hardware did, in `path`.

    It comes through `pipe`, so that it is written even while the unit can write no file.
    """

    def __init__(self, pipe: Path, path: Path) -> None:
        self.path = path
        self._pipe = pipe
        self._thread = threading.Thread(target=self._copy, name=f"record-{pipe.name}")

    def __enter__(self) -> Self:
        os.mkfifo(self._pipe)
        # Open for writing, too, so that the end of one process is not the end of the pipe.
        self._end = os.open(self._pipe, os.O_RDWR)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        os.write(self._end, b"\0")
        self._thread.join(WAIT_S)
        os.close(self._end)

    def _copy(self) -> None:
        with self.path.open("ab", buffering=0) as file:
            while not (piece := os.read(self._end, _PIECE_BYTES)).endswith(b"\0"):
                file.write(piece)
            file.write(piece[:-1])
