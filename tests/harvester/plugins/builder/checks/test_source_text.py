from pathlib import Path

import pytest

from harvester.errors import BuildError
from harvester.plugins.builder import least_world
from harvester.plugins.builder.checks import source_text
from harvester.plugins.builder.checks.source_text import Span


def problem(directory: Path, content: bytes) -> str:
    file = directory / "app.py"
    file.write_bytes(content)
    with pytest.raises(BuildError) as raised:
        least_world.parse(file)
    return str(raised.value).replace(f"{directory}/", "")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (
            b"x = 1\ny = 'a\0b'\n",
            (
                "app.py:2: found a NUL character in column 7, expected none; remove it\n"
                "    y = 'a b'\n"
                "          ^"
            ),
        ),
        (
            "ä = 1\n\tb = 2  # °".encode() + b"\xb0C\n",
            (
                "app.py:2: found the byte 0xb0 in column 13, which is no utf-8; save the file as "
                "UTF-8\n"
                "    b = 2  # °�C\n"
                "              ^"
            ),
        ),
        (
            "x = 1\n".encode("utf-16"),
            "app.py:1: found UTF-16, expected UTF-8; save the file as UTF-8",
        ),
        (
            b"# coding: utf-16\nx = 1\n",
            "app.py:1: found the encoding utf-16, expected UTF-8; save the file as UTF-8",
        ),
        (
            b"# coding: rot13\nx = 1\n",
            "app.py:1: found the encoding rot13, expected UTF-8; save the file as UTF-8",
        ),
        (
            b"# coding: unicode_escape\nx = 1\n",
            "app.py:1: found the encoding unicode_escape, expected UTF-8; save the file as UTF-8",
        ),
        (
            b"# coding: nonsense\nx = 1\n",
            "app.py:1: unknown encoding: nonsense; save the file as UTF-8",
        ),
        (
            "def f():\n  return „a“\n".encode(),
            "app.py:2: invalid character '„' (U+201E)\n    return „a“\n           ^",
        ),
        (
            b"x = " + b"-" * 20_000 + b"1\n",
            "app.py:1: an expression in it is nested too deep",
        ),
    ],
    ids=[
        "NUL",
        "byte",
        "UTF-16",
        "named UTF-16",
        "no text",
        "escapes",
        "unknown",
        "quotation mark",
        "nested",
    ],
)
def test_what_is_no_source_is_told_with_its_place(
    tmp_path: Path, content: bytes, said: str
) -> None:
    assert problem(tmp_path, content) == said


def test_every_end_of_line_becomes_a_line_feed(tmp_path: Path) -> None:
    file = tmp_path / "app.py"
    file.write_bytes("# coding: latin-1\r\nx = '°'\ry = 2\n".encode("latin-1"))
    assert source_text.read(file) == "# coding: latin-1\nx = '°'\ny = 2\n"


def test_columns_count_bytes_and_carets_letters() -> None:
    text = "    ä = ö(1)\n"
    at = Span(Path("app.py"), 1, len("    ä = ".encode()), len("    ä = ö(1)".encode()))
    shown = source_text.mistake(at, "wrong", text)
    assert shown == "app.py:1: wrong\n    ä = ö(1)\n        ^^^^"
