"""Writer of a backup: a zip of the hub's files and databases, copied while it runs.

The archive is written in a hidden folder beside its final place and renamed when it is on the disk,
so a kill at any moment leaves the former archive or the new one. The next backup of that name
removes what a killed one left.
"""

import contextlib
import fcntl
import hashlib
import os
import shutil
import stat
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import msgspec

from bus.clock import now_ms
from bus.files import private_file, whole_file
from bus.install.version import version_and_commit
from harvester.backup.contents import Contents, Source, owner_of
from harvester.backup.database_copy import copy_database
from harvester.backup.errors import BackupFailedError
from harvester.backup.manifest import BROKER, FORMAT, NAME, Manifest, Part
from harvester.backup.progress import Progress

CHUNK_BYTES = 1024 * 1024
# Higher levels take several times as long, for some percent.
_COMPRESSION = 1
# Messages for clients that were away: a command must not be executed long after.
_CLEAN = {BROKER: "DELETE FROM messages"}


def write(file: Path, node: str, contents: Contents) -> Manifest:
    """Write the archive, mode 0600; return its manifest. Raises BackupFailedError."""
    sources = contents.sources
    progress = Progress(sum(source.bytes for source in sources))
    try:
        with _work_folder(file) as folder:
            partial = folder / "archive"
            with _new_file(partial) as target:
                manifest = _write(target, node, contents, folder, progress)
                target.flush()
                os.fsync(target.fileno())
            partial.replace(file)
            whole_file.sync_folder(file.absolute().parent)
    except OSError as e:
        raise BackupFailedError(f"{file}: {e.strerror or e}") from e
    finally:
        progress.clear()
    return manifest


def _write(
    target: BinaryIO, node: str, contents: Contents, folder: Path, progress: Progress
) -> Manifest:
    made_ms = now_ms()
    parts: list[Part] = []
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=_COMPRESSION) as archive:
        for source in contents.sources:
            part = _add(archive, source, folder / "database", progress)
            if part is not None:
                parts.append(part)
        manifest = Manifest(FORMAT, version_and_commit(), node, made_ms, parts, contents.folders)
        encoded = msgspec.json.format(msgspec.json.encode(manifest))
        archive.writestr(NAME, encoded)
    return manifest


def _add(archive: zipfile.ZipFile, source: Source, copy: Path, progress: Progress) -> Part | None:
    """Add a file; None where it is gone meanwhile."""
    version = None
    try:
        status = source.path.stat()
        if source.is_database:
            copy.unlink(missing_ok=True)
            version = copy_database(
                source.path,
                copy,
                lambda done: progress.show(source.name, done / 2, source.bytes),
                _CLEAN.get(source.name, ""),
            )
        with (copy if source.is_database else source.path).open("rb") as read:
            size, digest = _add_content(archive, source, read, progress)
    except FileNotFoundError:
        return None
    finally:
        copy.unlink(missing_ok=True)
    progress.finish_part(source.bytes)
    mode = stat.S_IMODE(status.st_mode) & 0o777
    return Part(source.name, size, digest, mode, owner_of(status), version)


def _add_content(
    archive: zipfile.ZipFile, source: Source, read: BinaryIO, progress: Progress
) -> tuple[int, str]:
    """Return size and checksum of what was added."""
    total, digest = 0, hashlib.sha256()
    begin = 0.5 if source.is_database else 0.0
    # The size is known afterwards only: it may need the fields for more than 4 GB.
    with archive.open(source.name, "w", force_zip64=True) as written:
        while chunk := read.read(CHUNK_BYTES):
            written.write(chunk)
            digest.update(chunk)
            total += len(chunk)
            done = begin + (1.0 - begin) * min(1.0, total / max(1, source.bytes))
            progress.show(source.name, done, source.bytes)
    return total, digest.hexdigest()


def _new_file(path: Path) -> BinaryIO:
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    return os.fdopen(os.open(path, flags, private_file.MODE), "w+b")


@contextlib.contextmanager
def _work_folder(file: Path) -> Iterator[Path]:
    """Make a folder beside `file`, empty, which no other backup uses; remove it at the end."""
    folder = file.with_name(f".{file.name}.partial")
    folder.mkdir(mode=private_file.DIRECTORY_MODE, exist_ok=True)
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as e:
            raise BackupFailedError(f"{file}: another backup is written there") from e
        _empty(folder)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    finally:
        os.close(descriptor)


def _empty(folder: Path) -> None:
    for entry in folder.iterdir():
        entry.unlink()
