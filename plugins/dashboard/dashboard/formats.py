"""Formats of the fields on a page, each once: a row names its own by number."""

from dashboard import fields
from dashboard.fields import Field
from dashboard.markup import Html, element


class Formats:
    """Numbers of the formats, in the order in which the rows of a page first use them."""

    def __init__(self) -> None:
        self._numbers: dict[Field, int] = {}

    def number(self, field: Field) -> int:
        return self._numbers.setdefault(field, len(self._numbers))

    def listing(self) -> Html:
        """Return an element that is not shown and has what readings.js formats values from."""
        formats = (
            element("i", data_format_of=number, **fields.hints(field))
            for field, number in self._numbers.items()
        )
        return element("div", *formats, id="formats", hidden=True)
