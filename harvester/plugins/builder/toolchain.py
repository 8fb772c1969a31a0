"""Toolchain: runs componentize-py, one build at a time for each folder."""

import contextlib
import fcntl
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from bus.install.hint import install_extra
from harvester.errors import BuildError, ToolMissingError

_TIMEOUT_S = 300


def compiler() -> Path:
    """Return the toolchain's program. Raises ToolMissingError where it is not installed."""
    beside = Path(sys.executable).parent / "componentize-py"
    found = beside if beside.exists() else shutil.which("componentize-py")
    if found is None:
        raise ToolMissingError(f"componentize-py is not installed; run: {install_extra('build')}")
    return Path(found)


def run(command: Sequence[str], what: Path, scratch: Path) -> "subprocess.CompletedProcess[str]":
    """Run the toolchain for the plugin at `what`; `scratch` is a folder for its own files."""
    try:
        return subprocess.run(  # noqa: S603 - the compiler, no shell
            command,
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_S,
            check=False,
            env=_bare_environment(scratch),
        )
    except subprocess.TimeoutExpired as e:
        raise BuildError(f"{what}: not built within {_TIMEOUT_S} s") from e


@contextlib.contextmanager
def sole_build(directory: Path, name: str) -> Iterator[bool]:
    """Wait until no other process builds in `directory`; yield whether there was one.

    The lock is on the folder, so that no file is left behind.
    """
    folder = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        waited = False
        try:
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            waited = True
            print(f"{name}: waiting for another build of it", file=sys.stderr, flush=True)
            fcntl.flock(folder, fcntl.LOCK_EX)
        yield waited
    finally:
        os.close(folder)


def _bare_environment(scratch: Path) -> dict[str, str]:
    """Return the compiler's environment: a virtual one in `scratch`, without any package.

    It takes modules from the active one, or else from whatever Python it finds on this machine.
    """
    (scratch / "lib" / "site-packages").mkdir(parents=True, exist_ok=True)
    return {**os.environ, "VIRTUAL_ENV": str(scratch)}
