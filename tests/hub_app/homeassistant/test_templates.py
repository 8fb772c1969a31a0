"""Templates: a text of somebody else's stays a text."""

import ast

from hypothesis import given
from hypothesis import strategies as st

from hub_app.homeassistant import templates


@given(st.text())
def test_a_literal_is_plain_ascii_that_reads_as_the_text(text: str) -> None:
    literal = templates.literal(text)
    assert literal.isascii()
    assert not {"{", "}", "%", "#", '"'} & set(literal)
    assert ast.literal_eval(literal) == text
