"""Line numbers of keys in a TOML text, which Python's parser does not give."""

import re
from collections import Counter
from collections.abc import Iterator

# A bare or a quoted key, or an index.
_PART = re.compile(r"""\[(\d+)\]|"([^"]*)"|'([^']*)'|([A-Za-z0-9_-]+)""")
_HEADER = re.compile(r"\s*(\[\[?)([^\[\]]+)\]")
_PAIR = re.compile(r"""\s*((?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*')(?:\s*\.\s*[^\s=]+)*)\s*=""")


def line_of(text: str, key: str) -> int:
    """Return the line where `key`, for example `fields.co2.bands[1].to`, stands.

    A key within an inline table or a list, or a missing one, is at the line of what it is part of.
    """
    wanted = _parts(key)
    best_line, best_length = 1, 0
    for line, path in _paths(text):
        if len(path) > best_length and path == wanted[: len(path)]:
            best_line, best_length = line, len(path)
    return best_line


def _paths(text: str) -> Iterator[tuple[int, list[str]]]:
    """Yield each line that opens a table or sets a key, with the path of that."""
    table: list[str] = []
    seen: Counter[str] = Counter()
    for number, line in enumerate(text.splitlines(), 1):
        if header := _HEADER.match(line):
            table = _parts(header[2])
            if header[1] == "[[":
                seen[header[2]] += 1
                table = [*table, str(seen[header[2]] - 1)]
            yield number, table
        elif pair := _PAIR.match(line):
            yield number, [*table, *_parts(pair[1])]


def _parts(key: str) -> list[str]:
    return [next(filter(None, found), "") for found in _PART.findall(key)]
