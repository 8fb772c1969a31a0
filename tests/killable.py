"""Server process of a test that can be killed and started again."""

import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Self


class KillableServer:
    """The process of `command`, whose output goes to `log`; `port` is where clients find it."""

    def __init__(self, command: Sequence[str], port: int, log: Path = Path("/dev/null")) -> None:
        self.command = command
        self.port = port
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(self.command, stdout=log, stderr=log)

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def kill(self) -> None:
        """Kill it, as a power cut does."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
