"""TOML text as people's editors write it: UTF-8, with or without a byte order mark."""

import codecs
import tomllib
from typing import Any

_UTF_16_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def parse(data: bytes) -> dict[str, Any]:
    """Return the tables in the bytes of a file.

    Raises ValueError where they are no TOML, or RecursionError where it is nested beyond reason.
    """
    # TOML allows no zero byte. UTF-16 has one in each of the letters that keys are made of.
    if data.startswith(_UTF_16_MARKS) or b"\0" in data:
        raise ValueError("found UTF-16, expected UTF-8: save the file with the encoding UTF-8")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as e:
        line = data.count(b"\n", 0, e.start) + 1
        raise ValueError(
            f"found byte 0x{data[e.start]:02x} in line {line}, expected UTF-8: save the file with "
            "the encoding UTF-8"
        ) from e
    return tomllib.loads(text)
