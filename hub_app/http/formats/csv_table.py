"""CSV for spreadsheets (RFC 4180), offered as a download under any name (RFC 6266)."""

import csv
import io
from collections.abc import Callable, Iterable, Sequence
from urllib.parse import quote

from starlette.responses import Response

# A spreadsheet takes a cell that begins with one of these for a formula.
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
_MAX_NAME_CHARS = 120
# RFC 5987 section 3.2.1: characters that need no escape, beside letters and digits.
_PLAIN = "!#$&+-.^_`|~"


def csv_response(name: str, header: Sequence[str], rows: Iterable[Sequence[object]]) -> Response:
    """Return a table as the file `name`; its texts are no formulas in any spreadsheet."""
    text = io.StringIO()
    table = csv.writer(text)
    table.writerow([neutral(cell) for cell in header])
    table.writerows([[neutral(cell) for cell in row] for row in rows])
    headers = {"Cache-Control": "no-store", "Content-Disposition": content_disposition(name)}
    return Response(text.getvalue(), headers=headers, media_type="text/csv")


def series_table(
    series: Sequence[tuple[str, Sequence[Sequence[float]]]], time_text: Callable[[int], str]
) -> tuple[list[str], list[list[object]]]:
    """Return header and rows of several fields by time; a field without a value has empty cells.

    Each point of a field is [timestamp_ms, mean, low, high, count].
    """
    header = ["time", "timestamp_ms"]
    rows: dict[int, list[object]] = {}
    for i, (field, points) in enumerate(series):
        header += [field, f"{field} low", f"{field} high", f"{field} count"]
        for timestamp_ms, *numbers in points:
            at_ms = int(timestamp_ms)
            row = rows.setdefault(at_ms, [time_text(at_ms), at_ms, *[""] * (4 * len(series))])
            row[2 + 4 * i : 6 + 4 * i] = numbers
    return header, [row for _, row in sorted(rows.items())]


def neutral(cell: object) -> object:
    """Return a text that would be a formula with an apostrophe before it, all else as it is."""
    if isinstance(cell, str) and cell.startswith(_FORMULA_STARTS):
        return f"'{cell}"
    return cell


def content_disposition(name: str) -> str:
    """Return the header of a download: the name in ASCII, and in UTF-8 where that differs."""
    name = "".join("_" if c in '/\\:"' or not c.isprintable() else c for c in name)
    name = name[:_MAX_NAME_CHARS]
    plain = "".join(c if c.isascii() else "_" for c in name)
    header = f'attachment; filename="{plain}"'
    if plain != name:
        header += f"; filename*=UTF-8''{quote(name, safe=_PLAIN)}"
    return header
