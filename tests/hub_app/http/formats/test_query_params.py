"""Parameters of a request."""

import pytest
from starlette.datastructures import QueryParams
from starlette.exceptions import HTTPException

from hub_app.http.formats.query_params import LATEST_MS, iso_8601, time_range

AT_MS = 1_795_373_121_000


@pytest.mark.parametrize(
    "text",
    [
        str(AT_MS),
        "2026-11-22T18:45:21Z",
        "2026-11-22T18:45:21",
        "2026-11-22T19:45:21+01:00",
        # A plus sign that was not escaped.
        "2026-11-22T19:45:21 01:00",
        "2026-11-22T18:45:21.000Z",
    ],
)
def test_a_time_is_understood_in_every_spelling(text: str) -> None:
    assert time_range(QueryParams({"from": text}), AT_MS + 1000) == (AT_MS, AT_MS + 1000)


@pytest.mark.parametrize("text", ["", "-5", "now", "2026-13-01T00:00:00Z", "0001-01-01", "9" * 30])
def test_any_other_text_is_refused(text: str) -> None:
    with pytest.raises(HTTPException, match="from: found"):
        time_range(QueryParams({"from": text}), AT_MS)


def test_a_time_is_written_as_browsers_do() -> None:
    assert iso_8601(AT_MS + 7) == "2026-11-22T18:45:21.007Z"
    assert iso_8601(LATEST_MS).startswith("9999-12-31")
