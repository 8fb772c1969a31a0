"""Text of a source file, and mistakes in it with file, line, the line itself and a caret."""

import ast
import io
import tokenize
from pathlib import Path

import msgspec

from harvester.errors import BuildError

_UTF_16 = (b"\xff\xfe", b"\xfe\xff")
_MAX_LINE_CHARS = 200
_ASCII = [bytes([code]) for code in range(128)]
_SAVE_IT = "save the file as UTF-8"


class Span(msgspec.Struct, frozen=True):
    """A place in a file. Columns count from 0 in bytes of UTF-8, as a syntax tree's.

    Without a column, it is the file or the line as a whole.
    """

    file: Path
    line: int
    column: int | None = 0
    end_column: int | None = None


def span(file: Path, node: ast.stmt | ast.expr) -> Span:
    """Return the place of a syntax tree's node; of one with several lines, where it begins."""
    end = node.end_col_offset if node.end_lineno == node.lineno else None
    return Span(file, node.lineno, node.col_offset, end)


def read(file: Path) -> str:
    """Return a module's text, by the encoding that it names, each line ended by a line feed.

    Raises BuildError with the place of what is no text.
    """
    content = file.read_bytes()
    if content.startswith(_UTF_16):
        raise BuildError(f"{file}:1: found UTF-16, expected UTF-8; {_SAVE_IT}")
    text = _decoded(file, content).replace("\r\n", "\n").replace("\r", "\n")
    at = text.find("\0")
    if at >= 0:
        line, column = _place(text[:at])
        message = f"found a NUL character in column {column + 1}, expected none; remove it"
        raise BuildError(mistake(Span(file, line, column), message, text))
    return text


def mistake(at: Span, message: str, text: str) -> str:
    """Return the message with its place, and below it the line of `text` with a caret."""
    head = f"{at.file}:{at.line}: {message}"
    if at.column is None:
        return head
    lines = text.split("\n")
    line = lines[at.line - 1] if at.line <= len(lines) else ""
    shown = "".join(char if char.isprintable() else " " for char in line)
    shift = len(shown) - len(shown.lstrip())
    first = _characters(line, at.column)
    last = len(line) if at.end_column is None else _characters(line, at.end_column)
    if not shown.strip() or len(shown) > _MAX_LINE_CHARS:
        return head
    before, marks = max(first - shift, 0), max(last - max(first, shift), 1)
    marks = 1 if at.end_column is None else marks
    return f"{head}\n    {shown.strip()}\n    {' ' * before}{'^' * marks}"


def _decoded(file: Path, content: bytes) -> str:
    encoding = _encoding(file, content)
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as e:
        before = content[: e.start].decode(encoding)
        line, column = _place(before.replace("\r\n", "\n").replace("\r", "\n"))
        text = content.decode(encoding, errors="replace").replace("\r\n", "\n").replace("\r", "\n")
        message = (
            f"found the byte 0x{content[e.start]:02x} in column {column + 1}, which is no "
            f"{encoding}; {_SAVE_IT}"
        )
        raise BuildError(mistake(Span(file, line, column), message, text)) from e


def _encoding(file: Path, content: bytes) -> str:
    """Return the encoding that a file names in its first lines. Raises BuildError."""
    try:
        encoding, _ = tokenize.detect_encoding(io.BytesIO(content).readline)
    except SyntaxError as e:
        line = next(
            (n for n, text in enumerate(content.splitlines()[:2], 1) if not _is_utf8(text)), 0
        )
        if line:
            # What follows tells the byte.
            return "utf-8"
        raise BuildError(f"{file}:1: {e.msg}; {_SAVE_IT}") from e
    if not _has_ascii(encoding):
        raise BuildError(f"{file}:1: found the encoding {encoding}, expected UTF-8; {_SAVE_IT}")
    return encoding


def _has_ascii(encoding: str) -> bool:
    """Return whether an encoding is one of text that has ASCII's characters where ASCII has them.

    Some are none of text, or read backslashes as characters.
    """
    try:
        return all(byte.decode(encoding) == byte.decode("ascii") for byte in _ASCII)
    except (UnicodeError, LookupError):
        return False


def _is_utf8(content: bytes) -> bool:
    try:
        content.decode()
    except UnicodeDecodeError:
        return False
    return True


def _place(before: str) -> tuple[int, int]:
    """Return line and column, in bytes, of what follows a text."""
    last = before.rpartition("\n")[2]
    return before.count("\n") + 1, len(last.encode())


def _characters(line: str, column: int) -> int:
    """Return the number of characters before a column that counts bytes."""
    return len(line.encode()[:column].decode(errors="replace"))
