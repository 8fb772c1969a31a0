"""Log file: filters, pages, bounds."""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from hub_app.history.logs.log_file import FILE_NAME, LogFile, LogLine, LogQuery, read

NOW_MS = 1_700_000_000_000
HOUR_MS = 3_600_000
LINE = LogLine("pi4", NOW_MS, NOW_MS - 5, "info", "host", "started")


def line(message: str, **fields: object) -> LogLine:
    return msgspec.structs.replace(LINE, message=message, **fields)


class Kept:
    """A log file, open for writing, and questions to it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.file = LogFile(path, 24 * HOUR_MS, 10_000)

    def messages(self, **query: object) -> list[str]:
        wanted = msgspec.structs.replace(LogQuery(100), **query)
        return [found.message for found in read(self.path, wanted)]


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[Kept]:
    made = Kept(tmp_path / FILE_NAME)
    yield made
    made.file.close()


def test_a_line_comes_back_as_it_was(kept: Kept) -> None:
    kept.file.add([LINE])
    (found,) = read(kept.path, LogQuery(1))
    assert msgspec.structs.replace(found, id=0) == LINE


def test_lines_are_filtered_by_node_level_source_text_and_time(kept: Kept) -> None:
    kept.file.add(
        [
            line("one", at_ms=1),
            line("two", at_ms=2, node="pi5", level="warning"),
            line("Stra\u00dfe three", at_ms=3, source="plugin:dht22", level="error"),
            line("four %_", at_ms=4, level="debug"),
        ]
    )
    assert kept.messages() == ["one", "two", "Stra\u00dfe three", "four %_"]
    assert kept.messages(node="pi5") == ["two"]
    assert kept.messages(node="nobody") == []
    assert kept.messages(level="warning") == ["two", "Stra\u00dfe three"]
    assert kept.messages(source="DHT") == ["Stra\u00dfe three"]
    assert kept.messages(text="STRASSE") == ["Stra\u00dfe three"]
    assert kept.messages(text="%_") == ["four %_"]
    assert kept.messages(from_ms=2, to_ms=4) == ["two", "Stra\u00dfe three"]
    assert kept.messages(node="pi4", level="info", text="e") == ["one", "Stra\u00dfe three"]


def test_pages_go_back_from_the_newest(kept: Kept) -> None:
    kept.file.add([line(str(i)) for i in range(5)])
    newest = read(kept.path, LogQuery(2))
    assert [found.message for found in newest] == ["3", "4"]
    assert kept.messages(limit=2, before=newest[0].id) == ["1", "2"]


def test_lines_are_deleted_after_their_time(kept: Kept) -> None:
    kept.file.add([line("old", at_ms=NOW_MS), line("new", at_ms=NOW_MS + HOUR_MS)])
    kept.file.expire(NOW_MS + 24 * HOUR_MS + 1)
    assert kept.messages() == ["new"]


def test_above_its_size_the_node_with_most_lines_loses_its_oldest(kept: Kept) -> None:
    kept.file.add([line("quiet", node="pi5")])
    for i in range(20):
        kept.file.add([line(f"{i} {'x' * 100}") for _ in range(100)])
    kept.file.expire(NOW_MS)
    left = kept.messages(node="pi4")
    assert kept.messages(node="pi5") == ["quiet"]
    assert len(left) * 100 <= 10_000
    # A file that is opened again knows its size.
    kept.file.close()
    kept.file = LogFile(kept.path, 24 * HOUR_MS, 0)
    kept.file.expire(NOW_MS)
    assert kept.messages() == []


def test_a_forgotten_node_leaves_nothing(kept: Kept) -> None:
    kept.file.add([LINE, line("two", node="pi5")])
    kept.file.forget("pi4")
    kept.file.forget("pi4")
    assert kept.messages() == ["two"]
    kept.file.add([line("again")])
    assert kept.messages(node="pi4") == ["again"]
