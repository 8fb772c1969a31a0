"""Text of docs/plugins.md: its chapters, files, commands and what they print."""

import json
import re
from collections.abc import Iterator

import msgspec

from tests.support import PROJECT

GUIDE = (PROJECT / "docs" / "plugins.md").read_text()
# What differs from run to run, in the JSON and in the other lines that a command prints.
_VARYING_KEYS = ("timestamp_ms", "finished_ms", "monotonic_ms", "stream", "seq", "boot_id", "clock")
_VARYING = (
    (re.compile(r"\b[0-9a-f]{64}\b|\b\d{13}\b"), "N"),
    (re.compile(r"\b[\d.]+ ?(ms|s|MB|bytes|files)\b"), r"N \1"),
)


class Command(msgspec.Struct, frozen=True):
    """A command of the guide, and the lines that it prints there."""

    line: str
    printed: list[str]


def chapter(title: str) -> str:
    """Return the text from a heading to the next one of any level above `###`."""
    heading = rf"^##? {re.escape(title)}\n(.*?)(?=^##? |\Z)"
    found = re.search(heading, GUIDE, re.MULTILINE | re.DOTALL)
    assert found is not None, title
    return found[1]


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def files(text: str) -> dict[str, str]:
    """Return the files by path: a paragraph that begins with the path is above each one."""
    named = r"(?<=\n\n)`([\w/.-]+)`(?:(?!\n\n).)*:\n\n```\w+\n(.*?)\n```\n"
    return {name: f"{block}\n" for name, block in re.findall(named, text, re.DOTALL)}


def commands(text: str) -> list[Command]:
    return [command for block in blocks(text, "console") for command in _commands(block)]


def _commands(block: str) -> Iterator[Command]:
    for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
        line, *printed = part.splitlines()
        yield Command(line, printed)


def plain(lines: list[str]) -> list[str]:
    """Return lines without what differs from run to run."""
    return [_plain(line) for line in lines]


def _plain(line: str) -> str:
    if line.startswith("{"):
        said = json.loads(line)
        return json.dumps({key: said[key] for key in said if key not in _VARYING_KEYS})
    for pattern, instead in _VARYING:
        line = pattern.sub(instead, line)
    return " ".join(line.split())
