"""The table of bounds in topics.md is the one that the types give."""

from tests.bus.contract.bounds_table import bounds_table
from tests.support import PROJECT


def test_topics_md_has_the_bounds_of_the_types() -> None:
    assert bounds_table() in (PROJECT / "topics.md").read_text()


def test_every_field_of_a_message_has_a_bound() -> None:
    rows = [row for row in bounds_table().splitlines() if row.startswith("| Reading |")]
    assert not [row for row in rows if "None" in row]
