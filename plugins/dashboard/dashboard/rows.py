"""Row of a field: label, value, unit, band and bar, with the data attributes for app.js."""

from dashboard import fields
from dashboard.fields import Field, Scalar
from dashboard.markup import Html, element, join


def field_rows(data: dict[str, Scalar]) -> Html:
    """Return the rows of a reading's data. A total is shown in the row of its value.

    A value that is absent because it is not valid yet has a row too.
    """
    totals = {fields.of(name).full for name in data}
    present = {
        *data,
        *(name for name, field in fields.FIELDS.items() if fields.is_pending(field, data)),
    }
    names = [name for name in fields.ordered(list(present)) if name not in totals]
    return join([field_row(name, fields.of(name), data) for name in names])


def field_row(name: str, field: Field, data: dict[str, Scalar]) -> Html:
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
        **fields.hints(field),
    )


def _total(field: Field, data: dict[str, Scalar]) -> Html | str:
    if not isinstance(field.full, str):
        return ""
    text = fields.write(field, data.get(field.full))
    return element("span", "/ ", element("span", text, class_="total"), class_="of")


def _bar(field: Field, data: dict[str, Scalar], value: Scalar | None) -> Html | str:
    full = data.get(field.full) if isinstance(field.full, str) else field.full
    if not isinstance(full, int | float) or isinstance(value, str):
        return ""
    return element("meter", min=0, max=full, value=value or 0, aria_hidden="true")
