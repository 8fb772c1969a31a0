"""TOML text as people's editors write it: UTF-8, with or without a byte order mark."""

import codecs
import tomllib
from typing import Any

_UTF_16_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def parse(data: bytes) -> dict[str, Any]:
    """Return the tables in the bytes of a file.

    Raises ValueError where they are no TOML, or RecursionError where it is nested beyond reason.
    """
    if data.startswith(_UTF_16_MARKS):
        raise ValueError("found UTF-16, expected UTF-8: save the file with the encoding UTF-8")
    return tomllib.loads(data.decode("utf-8-sig"))
