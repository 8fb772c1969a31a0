"""Names from the bus are no formulas in a spreadsheet, and any of them is a file name."""

import csv

import pytest

from hub_app.http.formats.csv_table import content_disposition, csv_response, neutral


@pytest.mark.parametrize("name", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"])
def test_what_a_spreadsheet_takes_for_a_formula_begins_with_an_apostrophe(name: str) -> None:
    assert neutral(name) == f"'{name}"


def test_numbers_and_other_names_stay_as_they_are() -> None:
    assert [neutral(cell) for cell in (-1.5, "temperature", "a=b", "")] == [
        -1.5,
        "temperature",
        "a=b",
        "",
    ]


def test_commas_quotes_and_line_feeds_are_quoted() -> None:
    response = csv_response("a.csv", ["t", 'a,"b"\nc'], [(1, -2.5)])
    rows = list(csv.reader(bytes(response.body).decode().splitlines(keepends=True)))
    assert rows == [["t", 'a,"b"\nc'], ["1", "-2.5"]]


@pytest.mark.parametrize(
    ("name", "header"),
    [
        ("pi4-temperature.csv", 'attachment; filename="pi4-temperature.csv"'),
        ("\u00b0C.csv", "attachment; filename=\"_C.csv\"; filename*=UTF-8''%C2%B0C.csv"),
        ('a"b\r\nX: y.csv', 'attachment; filename="a_b__X_ y.csv"'),
        ("../x.csv", 'attachment; filename=".._x.csv"'),
    ],
)
def test_any_name_downloads(name: str, header: str) -> None:
    found = content_disposition(name)
    assert found == header
    found.encode("latin-1")
