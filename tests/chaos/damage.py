"""Ways in which a card or a power cut spoils an SQLite file, done on purpose to a closed one."""

import os
import random
import re
import sqlite3
from collections.abc import Callable
from pathlib import Path

_PAGE_BYTES = 4096


def spoil(path: Path, chance: random.Random) -> str:
    """Spoil the database at `path` in one of the ways; return which."""
    way = chance.choice(list(_WAYS))
    _WAYS[way](path, chance)
    return way


def is_sound(path: Path) -> bool:
    """Whether SQLite finds nothing wrong with the file; it is not changed."""
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as connection:
        try:
            return bool(connection.execute("PRAGMA quick_check(1)").fetchone()[0] == "ok")
        except sqlite3.DatabaseError:
            return False


def _write(path: Path, offset: int, data: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(data)


def _spoil_head(path: Path, chance: random.Random) -> None:
    _write(path, 0, chance.randbytes(100))


def _spoil_page(path: Path, chance: random.Random) -> None:
    pages = max(1, path.stat().st_size // _PAGE_BYTES)
    _write(path, chance.randrange(pages) * _PAGE_BYTES, chance.randbytes(_PAGE_BYTES))


def _zero_second_half(path: Path, _chance: random.Random) -> None:
    half = path.stat().st_size // 2
    _write(path, half, bytes(path.stat().st_size - half))


def _cut_short(path: Path, chance: random.Random) -> None:
    os.truncate(path, chance.randrange(1, max(2, path.stat().st_size)))


def _spoil_log(path: Path, chance: random.Random) -> None:
    """Spoil the write-ahead log, where readings are that are not in the file yet."""
    log = path.with_name(f"{path.name}-wal")
    if log.exists() and log.stat().st_size > _PAGE_BYTES:
        _write(log, chance.randrange(log.stat().st_size - 64), chance.randbytes(64))
    else:
        _spoil_page(path, chance)


def _spoil_value(path: Path, chance: random.Random) -> None:
    """Spoil the values of one reading, which SQLite does not notice."""
    starts = [found.start() for found in re.finditer(rb'\{"', path.read_bytes())]
    if starts:
        _write(path, chance.choice(starts), b"\xff\x00")
    else:
        _spoil_page(path, chance)


_WAYS: dict[str, Callable[[Path, random.Random], None]] = {
    "head": _spoil_head,
    "page": _spoil_page,
    "second half": _zero_second_half,
    "cut short": _cut_short,
    "log": _spoil_log,
    "value": _spoil_value,
}
