"""Atomic, durable replacement of a file: after a power cut it has the old content or the new."""

import contextlib
import os
import threading
import time
from pathlib import Path

# Ends the name of a file that is being written, which a killed process leaves.
PARTIAL = ".partial"
# No write takes so long; another process may have the number of the one that was killed.
_ABANDONED_S = 3600.0


def replace(
    path: Path,
    content: bytes,
    *,
    mode: int = 0o600,
    owner: tuple[int, int] | None = None,
    drop_page_cache: bool = False,
) -> None:
    """Replace `path` with a file of that content and mode, on the disk when this returns.

    The folder must exist. `owner` is a user id and a group id; None leaves the file with this
    process's user. `drop_page_cache` is for a file that other processes will map: they then read
    it from the disk instead of sharing the huge pages that writing it left in memory. Raises
    OSError, with the old file in place.
    """
    # Threads of one process may replace a file at the same time.
    writer = f"{threading.get_native_id()}.{os.getpid()}"
    partial = path.with_name(f".{path.name}.{writer}{PARTIAL}")
    try:
        partial.unlink(missing_ok=True)
        _write(partial, content, mode, owner, drop_page_cache=drop_page_cache)
        partial.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def move(partial: Path, path: Path) -> None:
    """Give a file that was written piece by piece its name, durably. Raises OSError."""
    descriptor = os.open(partial, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    partial.replace(path)
    sync_folder(path.parent)


def remove_abandoned(folder: Path) -> None:
    """Remove the files that killed processes were writing in a folder and in those in it."""
    for pattern in (f".*{PARTIAL}", f"*/.*{PARTIAL}"):
        for path in folder.glob(pattern):
            with contextlib.suppress(OSError):
                if _is_abandoned(path):
                    path.unlink()


def _is_abandoned(partial: Path) -> bool:
    process = partial.name.removesuffix(PARTIAL).rpartition(".")[2]
    if not process.isdecimal():
        return False
    is_old = time.time() - partial.stat().st_mtime > _ABANDONED_S
    return is_old or not Path("/proc", process).exists()


def sync_folder(folder: Path) -> None:
    """Bring the names in a folder to the disk: without it, a rename may be undone by a power cut.

    Raises OSError.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write(
    partial: Path,
    content: bytes,
    mode: int,
    owner: tuple[int, int] | None,
    *,
    drop_page_cache: bool,
) -> None:
    # The final mode comes last, so that nobody else can open the file before it is complete.
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with os.fdopen(os.open(partial, flags, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        if owner is not None:
            os.fchown(file.fileno(), *owner)
        os.fchmod(file.fileno(), mode)
        os.fsync(file.fileno())
        if drop_page_cache:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
