"""Text of a number whose description has no decimals."""

import pytest

from plugins.shared.number_text import plain


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (21.5, "21.5"),
        (100, "100"),
        (0.0, "0"),
        (-7.25, "-7.25"),
        (0.0004, "0.0004"),
        (-0.00012345, "-0.000123"),
        (0.99e-3, "0.00099"),
        (1e-15, "0.000000000000001"),
        (1e-16, "0"),
    ],
)
def test_a_small_number_is_not_written_as_zero(value: float, text: str) -> None:
    assert plain(value) == text
