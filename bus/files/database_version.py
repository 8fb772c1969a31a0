"""Version of an SQLite file (`PRAGMA user_version`), read without opening it as a database.

Opening a file would already write to it: the last connection that closes copies the write-ahead
log into the file. Byte offsets are those of https://sqlite.org/fileformat2.html.
"""

import struct
from pathlib import Path
from typing import BinaryIO

_MAGIC = b"SQLite format 3\0"
_HEADER_BYTES = 100
_VERSION_OFFSET = 60
# Section 4.1: magic number, format, page size, checkpoint count, two salts, two checksums.
_WAL_HEADER = struct.Struct(">4s7I")
_WAL_MAGIC = (b"\x37\x7f\x06\x82", b"\x37\x7f\x06\x83")
# Section 4.2: page number, pages after a commit or 0, two salts, two checksums.
_FRAME_HEADER = struct.Struct(">6I")


def read_version(path: Path) -> int:
    """Return the version with what the write-ahead log has of it; 0 where there is none.

    Raises OSError where the file cannot be read.
    """
    try:
        with path.open("rb") as file:
            version = _version_in(file.read(_HEADER_BYTES))
    except FileNotFoundError:
        return 0
    try:
        with Path(f"{path}-wal").open("rb") as log:
            return _committed_version(log, version)
    except FileNotFoundError:
        return version


def _version_in(header: bytes) -> int:
    if len(header) < _HEADER_BYTES or not header.startswith(_MAGIC):
        return 0
    return int(struct.unpack_from(">i", header, _VERSION_OFFSET)[0])


def _committed_version(log: BinaryIO, version: int) -> int:
    """Return the version after the last commit in a write-ahead log that changes the first page."""
    header = log.read(_WAL_HEADER.size)
    if len(header) < _WAL_HEADER.size or not header.startswith(_WAL_MAGIC):
        return version
    _, _, page_bytes, _, *salts, _, _ = _WAL_HEADER.unpack(header)
    written = version
    while len(frame := log.read(_FRAME_HEADER.size)) == _FRAME_HEADER.size:
        page, commit_pages, *frame_salts, _, _ = _FRAME_HEADER.unpack(frame)
        # Frames of an earlier use of the log follow the valid ones.
        if frame_salts != salts:
            break
        content = log.read(_HEADER_BYTES)
        log.seek(page_bytes - len(content), 1)
        if page == 1:
            written = _version_in(content)
        if commit_pages:
            version = written
    return version
