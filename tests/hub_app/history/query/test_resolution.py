"""Resolution of a chart."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub_app.history.query.resolution import STEPS_MS, RangeTooLongError, step_for
from hub_app.history.schema import BUCKET_MS

HOUR = 3_600_000


@pytest.mark.parametrize(
    ("span", "width", "step"),
    [
        (HOUR, 1200, 5000),
        (24 * HOUR, 1200, 120_000),
        (24 * HOUR, 390, BUCKET_MS),
        (7 * 24 * HOUR, 1200, 600_000),
        (30 * 24 * HOUR, 1200, HOUR),
        (365 * 24 * HOUR, 1200, 8 * HOUR),
    ],
)
def test_a_point_is_hardly_wider_than_a_pixel(span: int, width: int, step: int) -> None:
    assert step_for(span, width) == step


@given(span=st.integers(1, 2**50), width=st.integers(1000, 10_000))
def test_there_are_never_more_points_than_pixels(span: int, width: int) -> None:
    assert span <= step_for(span, width) * width


def test_a_range_that_no_step_fits_is_refused() -> None:
    with pytest.raises(RangeTooLongError, match="too long for 1 points"):
        step_for(2**53, 1)


def test_a_long_step_is_a_multiple_of_a_mean() -> None:
    assert all(step % BUCKET_MS == 0 for step in STEPS_MS if step >= BUCKET_MS)
