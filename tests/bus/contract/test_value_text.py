"""Tests of the text of values."""

import pytest

from bus.contract.description import FieldDescription
from bus.contract.value_text import write


@pytest.mark.parametrize(
    ("value", "text"),
    [(21.5, "21.5"), (100.0, "100"), (0.0, "0"), (0.0004, "0.0004"), (-0.00012345, "-0.000123")],
)
def test_a_small_value_without_decimals_is_not_written_as_zero(value: float, text: str) -> None:
    assert write(value, FieldDescription()) == text
