"""Cache of compiled components on disk: compiled once in a child process, then only mapped.

A compiled file is native code that wasmtime trusts. So it is used only from a directory, and as a
file, that belongs to this user and that nobody else may write, and only while its seal holds.
"""

import contextlib
import fcntl
import hashlib
import logging
import os
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from bus.files import whole_file
from node_agent.sandbox import seal
from node_agent.sandbox.bundles import code_cache
from node_agent.sandbox.engine import SETTINGS, Target
from node_agent.sandbox.errors import CacheError, ComponentError

logger = logging.getLogger(__name__)

# The module that a child process runs.
_COMPILER = "node_agent.sandbox.compile"
# The slowest machine that compiles at all, a Pi 4, needs about 60 s for one component.
_COMPILE_TIMEOUT_S = 300
# A file that no program has mapped for this long belongs to a component that is gone.
_KEPT_S = 30 * 24 * 3600.0
_USED_EVERY_S = 24 * 3600.0
# Compilers that run, for `end_compilers`.
_children: set["subprocess.Popen[str]"] = set()
_children_lock = threading.Lock()


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
    whole_file.remove_abandoned(directory)


def compiled(
    wasm: Path, directory: Path, target: Target = Target.NATIVE, digest: str = ""
) -> tuple[Path, str]:
    """Return the compiled file for `wasm` and the component's sha256, compiling it if needed.

    Blocks for as long as the compiler takes. Raises ComponentError where it is no component.
    """
    digest = digest or sha256_of(wasm)
    found = available(wasm, directory, target, digest)
    if found is None:
        with _locked(directory):
            found = _ready(directory, target, digest) or _make(wasm, directory, target, digest)
    return found, digest


def available(wasm: Path, directory: Path, target: Target, digest: str) -> Path | None:
    """Return the compiled file where it is there and untouched, else None.

    One that was shipped beside the component is taken into the cache first. Raises CacheError
    where others may write to the file.
    """
    found = _ready(directory, target, digest)
    record = None if found else seal.read(shipped_path(wasm, target))
    if record is None or not seal.fits(record, digest, target.machine):
        return found
    with _locked(directory):
        return _ready(directory, target, digest) or _take_shipped(wasm, directory, target, record)


def discard(path: Path) -> None:
    """Remove a compiled file and its record."""
    for gone in (path, seal.seal_path(path)):
        gone.unlink(missing_ok=True)


def shipped_path(wasm: Path, target: Target) -> Path:
    """Return where a compiled file of `wasm` from another machine would stand."""
    return wasm.with_suffix(f".{target.machine}.cwasm")


def run_compiler(wasm: Path, output: Path, target: Target, *, portable: bool = False) -> None:
    """Compile in a child process. Raises ComponentError with the compiler's words."""
    options = ["--portable"] if portable else []
    command = [sys.executable, "-m", _COMPILER, *options]
    try:
        done = _run([*command, target.value, str(wasm), str(output)], _COMPILE_TIMEOUT_S)
    except subprocess.TimeoutExpired as e:
        raise ComponentError(f"{wasm}: not compiled within {_COMPILE_TIMEOUT_S} s") from e
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines() or [f"the compiler ended with {done.returncode}"]
        raise ComponentError(f"{wasm}: not a component that this host can compile: {lines[0]}")


def end_compilers() -> None:
    """End every compiler of this process; whoever waits for one gets ComponentError.

    Any thread may call.
    """
    with _children_lock:
        for child in _children:
            child.kill()


def _run(command: Sequence[str], timeout_s: float) -> "subprocess.CompletedProcess[str]":
    with subprocess.Popen(  # noqa: S603 - our own module, no shell
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as child:
        with _children_lock:
            _children.add(child)
        try:
            output, errors = child.communicate(timeout=timeout_s)
        finally:
            with _children_lock:
                _children.discard(child)
            # It runs on only after an exception.
            child.kill()
    return subprocess.CompletedProcess(command, child.returncode, output, errors)


def _path(directory: Path, target: Target, digest: str) -> Path:
    return directory / f"{digest}-{SETTINGS}-{target.machine}.cwasm"


def _ready(directory: Path, target: Target, digest: str) -> Path | None:
    path = _path(directory, target, digest)
    # Another process that shares the directory may discard the file meanwhile.
    with contextlib.suppress(FileNotFoundError):
        _check_trusted(path)
        if seal.holds(path, digest, target.machine):
            _mark_used(path)
            return path
    return None


def _make(wasm: Path, directory: Path, target: Target, digest: str) -> Path:
    path = _path(directory, target, digest)
    if path.exists():
        logger.warning("%s: changed, or of another wasmtime; compiling it again", path)
        discard(path)
    run_compiler(wasm, path, target)
    _prune(directory)
    if not seal.holds(path, digest, target.machine):
        raise ComponentError(f"{wasm}: changed while it was compiled")
    return path


def _take_shipped(wasm: Path, directory: Path, target: Target, record: seal.Seal) -> Path | None:
    """Copy a compiled file that stands beside the component into the cache."""
    source, path = shipped_path(wasm, target), _path(directory, target, record.component)
    content, problem = b"", "changed, or others may write to it"
    try:
        content = _read_trusted(source)
    except OSError as e:
        problem = str(e.strerror)
    if hashlib.sha256(content).hexdigest() != record.sha256:
        logger.warning("%s: %s; it is not used", source, problem)
        return None
    whole_file.replace(path, content, drop_page_cache=True)
    seal.write(path, record)
    return path


def _read_trusted(path: Path) -> bytes:
    """Return a file's content, nothing where anybody but this user and root may have written it."""
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW), "rb") as file:
        return file.read() if _is_trusted(os.fstat(file.fileno()), os.geteuid(), 0) else b""


def _is_trusted(status: os.stat_result, *owners: int) -> bool:
    return status.st_uid in owners and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def _check_trusted(path: Path) -> None:
    status = path.stat()
    if not _is_trusted(status, os.geteuid()):
        raise CacheError(
            f"storage.cache_dir: {path} belongs to user {status.st_uid} with mode "
            f"{stat.S_IMODE(status.st_mode):04o}; expected user {os.geteuid()} and no write "
            "access for others"
        )


def _mark_used(path: Path) -> None:
    """Note on the record, whose times nothing depends on, that the file is still in use."""
    record = seal.seal_path(path)
    if time.time() - record.stat().st_mtime > _USED_EVERY_S:
        os.utime(record)


def _prune(directory: Path) -> None:
    """Remove what nobody has used for a month: every build of a plugin leaves 35 MB."""
    for path in (*directory.glob("*.cwasm"), *directory.glob(f"*{code_cache.SUFFIX}")):
        record = seal.seal_path(path)
        with contextlib.suppress(FileNotFoundError):
            used = (record if record.exists() else path).stat().st_mtime
            if time.time() - used > _KEPT_S:
                discard(path)


@contextlib.contextmanager
def _locked(directory: Path) -> Iterator[None]:
    """Hold a lock between threads and processes: compilers side by side need too much memory."""
    with (directory / "compiling.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
