"""Tables of a fleet are bounded, and what is notable is in them."""

from hub_app.http.views.system.notable import MOST_ROWS, bounded


def test_a_table_that_people_can_read_is_whole_and_in_its_order() -> None:
    rows = list(range(MOST_ROWS))
    assert bounded(rows, lambda row: row == 7) == (rows, "")


def test_of_a_longer_one_the_notable_rows_come_first_and_the_others_are_counted() -> None:
    rows = list(range(MOST_ROWS + 100))
    shown, sentence = bounded(rows, lambda row: row >= MOST_ROWS)
    assert list(shown) == [*rows[MOST_ROWS:], *rows[: MOST_ROWS - 100]]
    assert "100 more" in sentence
