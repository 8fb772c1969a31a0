"""Row of a field: label, value, unit, band and bar, with the data attributes for readings.js."""

from dashboard import fields
from dashboard.fields import Field, Scalar
from dashboard.formats import Formats
from dashboard.markup import Html, element, join


def field_rows(shown: dict[str, Field], data: dict[str, Scalar], formats: Formats) -> Html:
    return join([field_row(name, field, data, formats) for name, field in shown.items()])


def shown_fields(data: dict[str, Scalar], known: dict[str, Field]) -> dict[str, Field]:
    """Return the fields that have a row, in order. A total is shown in the row of its value.

    A value that is absent because it is not valid yet has a row too.
    """
    pending = [name for name, field in known.items() if fields.is_pending(field, data)]
    shown = fields.ordered([*data, *pending], known)
    totals: set[str] = set()
    for name, field in shown.items():
        # Two fields that are each other's total do not both disappear.
        if name not in totals and field.total not in {None, name}:
            totals.add(str(field.total))
    return {name: field for name, field in shown.items() if name not in totals}


def field_row(name: str, field: Field, data: dict[str, Scalar], formats: Formats) -> Html:
    is_pending = fields.is_pending(field, data)
    value = field.meanwhile if is_pending else data.get(name)
    band = fields.band(field, value)
    return element(
        "div",
        element("dt", field.label),
        element(
            "dd",
            element("span", fields.write(field, value), class_="value"),
            _total(field, data),
            element("span", field.unit, class_="unit") if field.unit else "",
            element("span", band.word, class_="band") if field.bands else "",
        ),
        _bar(field, data, None if is_pending else value),
        class_="field",
        data_field=name,
        data_tone=band.tone or None,
        data_pending=is_pending,
        data_text=isinstance(value, str) and not is_pending,
        data_format=formats.number(field),
    )


def _total(field: Field, data: dict[str, Scalar]) -> Html | str:
    if field.total is None:
        return ""
    text = fields.write(field, data.get(field.total))
    return element("span", "/ ", element("span", text, class_="total"), class_="of")


def _bar(field: Field, data: dict[str, Scalar], value: Scalar | None) -> Html | str:
    full = field.full if field.total is None else data.get(field.total)
    if not isinstance(full, int | float) or isinstance(value, str):
        return ""
    return element("meter", min=0, max=full, value=value or 0, aria_hidden="true")
