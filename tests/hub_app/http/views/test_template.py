"""Templates of the views: names are replaced, values are escaped."""

import pytest

from hub_app.http.views.template import Html, fill


@pytest.mark.parametrize(
    ("template", "found"),
    [
        ("", ""),
        ("no name", "no name"),
        ("$a", "&lt;1&gt;"),
        ("$a$b", "&lt;1&gt;<b>"),
        ("${a}s cost $$5, $b and $a", "&lt;1&gt;s cost $5, <b> and &lt;1&gt;"),
    ],
)
def test_names_are_replaced_and_what_is_no_markup_is_escaped(template: str, found: str) -> None:
    assert fill(template, a="<1>", b=Html("<b>")) == found


def test_a_name_without_a_value_and_a_lone_dollar_are_errors() -> None:
    with pytest.raises(KeyError):
        fill("$missing", a=1)
    with pytest.raises(ValueError, match="Invalid placeholder"):
        fill("5 $", a=1)
