"""Compiled components on disk, made once by a child process and only mapped afterwards.

A compiled file is native code that wasmtime trusts. So it is used only from a directory, and as a
file, that belongs to this user and that nobody else may write.
"""

import contextlib
import fcntl
import hashlib
import os
import platform
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from node_agent.sandbox.engine import SETTINGS
from node_agent.sandbox.errors import CacheError, ComponentError

# The slowest machine that compiles at all, a Pi 4, needs about 60 s for one component.
_COMPILE_TIMEOUT_S = 300


def sha256_of(path: Path) -> str:
    """Return the digest of a component file in hex. Raises ComponentError where it is missing."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as e:
        raise ComponentError(
            f"{path}: {e.strerror}; expected a component, made by `harvester plugins build`"
        ) from e


def prepare_directory(directory: Path) -> None:
    """Make the cache directory with mode 0700. Raises CacheError where others may write to it."""
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as e:
        raise CacheError(f"storage.cache_dir: {directory}: {e.strerror}") from e
    _check_trusted(directory)


def compiled(wasm: Path, directory: Path) -> tuple[Path, str]:
    """Return the compiled file for `wasm` and the component's sha256, compiling it if needed.

    Blocks for as long as the compiler takes. Raises ComponentError where it is no component.
    """
    digest = sha256_of(wasm)
    target = directory / f"{digest}-{SETTINGS}-{platform.machine()}.cwasm"
    if not target.exists():
        with _locked(directory / "compiling.lock"):
            if not target.exists():
                _compile(wasm, target)
    _check_trusted(target)
    return target, digest


def _compile(wasm: Path, target: Path) -> None:
    command = [sys.executable, "-m", "node_agent.sandbox.compile", str(wasm), str(target)]
    try:
        done = subprocess.run(  # noqa: S603 - our own module, no shell
            command, capture_output=True, text=True, timeout=_COMPILE_TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired as e:
        raise ComponentError(f"{wasm}: not compiled within {_COMPILE_TIMEOUT_S} s") from e
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines() or [f"the compiler ended with {done.returncode}"]
        raise ComponentError(f"{wasm}: not a component that this host can compile: {lines[0]}")


def _check_trusted(path: Path) -> None:
    status = path.stat()
    if status.st_uid != os.geteuid() or status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise CacheError(
            f"storage.cache_dir: {path} belongs to user {status.st_uid} with mode "
            f"{stat.S_IMODE(status.st_mode):04o}; expected user {os.geteuid()} and no write "
            "access for others"
        )


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold a lock between threads and processes: compilers side by side need too much memory."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
