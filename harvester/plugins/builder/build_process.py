"""Build of one plugin in a process of its own: `python -m ...build_process DIRECTORY WIT`.

A fault of the parser or of the compiler's libraries ends that process alone, not the one that runs
plugins beside it. The process writes its outcome to standard output, as JSON.
"""

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import msgspec

from bus.errors import HarvesterError
from harvester.errors import BuildError
from harvester.plugins.builder.build import build_all
from harvester.plugins.source import read

_MODULE = "harvester.plugins.builder.build_process"
# A cancelled process has this long to remove its files.
_GRACE_S = 3.0


class Outcome(msgspec.Struct, frozen=True):
    """How long a build took; `error` is empty where it succeeded."""

    seconds: float
    error: str = ""


class BuildProcess:
    """A running build. `cancel` may be called from any thread."""

    def __init__(self, directory: Path, wit: Path) -> None:
        self._directory = directory
        # A session of its own, so that Ctrl-C reaches it only by way of `cancel`.
        self._process = subprocess.Popen(  # noqa: S603 - our own module, no shell
            [sys.executable, "-m", _MODULE, str(directory), str(wit)],
            stdout=subprocess.PIPE,
            start_new_session=True,
        )

    def wait(self) -> float:
        """Return the seconds that the build took. Raises BuildError where it failed."""
        output, _ = self._process.communicate()
        try:
            outcome = msgspec.json.decode(output, type=Outcome)
        except msgspec.DecodeError as e:
            code = self._process.returncode
            how = signal.strsignal(-code) if code < 0 else f"exit code {code}"
            raise BuildError(f"{self._directory}: the build process failed: {how}") from e
        if outcome.error:
            raise BuildError(outcome.error)
        return outcome.seconds

    def cancel(self) -> None:
        """End the compiler; the process then removes its files and ends, too."""
        self._signal(signal.SIGTERM)
        try:
            self._process.wait(_GRACE_S)
        except subprocess.TimeoutExpired:
            self._signal(signal.SIGKILL)

    def _signal(self, number: signal.Signals) -> None:
        if self._process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)


def main(directory: str, wit: str) -> None:
    # A handler, unlike a signal that is ignored, is not passed on to the compiler.
    signal.signal(signal.SIGTERM, lambda _signal, _frame: None)
    try:
        (built,) = build_all([read(Path(directory))], Path(wit))
        outcome = Outcome(built.seconds, built.error)
    except HarvesterError as e:
        outcome = Outcome(0.0, str(e))
    sys.stdout.write(msgspec.json.encode(outcome).decode())


if __name__ == "__main__":
    main(*sys.argv[1:])
