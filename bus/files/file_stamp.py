"""File stamp: tells whether a file was replaced or changed since it was read."""

from pathlib import Path

# Modification time (ns), inode and size; None where the file is missing.
FileStamp = tuple[int, int, int] | None


def stamp_of(path: Path) -> FileStamp:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ino, found.st_size
