"""Rows of a reading: label, value, unit and band word of each field, as its description says.

The data attributes are those from which the page's scripts write the next values, as in the cards
of the overview. Pure.
"""

from collections.abc import Mapping, Sequence

import msgspec

from bus.contract.description import Band, FieldDescription
from bus.contract.messages import Value
from bus.contract.value_text import band_of, write
from hub_app.http.views.template import Html, attributes, fill, join

_UNDESCRIBED = FieldDescription()

_ROW = """<div class="field"$attributes>
<dt>$label</dt>
<dd><span class="value">$value</span>$total$unit<span class="band">$band</span></dd>
</div>
"""
_UNIT = '<span class="unit">$unit</span>'
_TOTAL = '<span class="of">/ <span class="total">$total</span></span>'


def field_rows(data: Mapping[str, Value], described: Mapping[str, FieldDescription]) -> Html:
    """Return the rows of the described fields in their order, then of the others by name."""
    known = [name for name in described if name in data or described[name].pending]
    others = sorted(name for name in data if name not in described)
    shown = {name: described.get(name, _UNDESCRIBED) for name in (*known, *others)}
    totals: set[str] = set()
    for name, field in shown.items():
        # Two fields that are each other's total do not both disappear.
        if isinstance(field.bar, str) and name not in totals and field.bar != name:
            totals.add(field.bar)
    return join([_row(name, data, field) for name, field in shown.items() if name not in totals])


def _row(name: str, data: Mapping[str, Value], field: FieldDescription) -> Html:
    is_pending = field.pending is not None and data.get(field.pending) in (0, False)
    value = None if is_pending else data.get(name)
    band = band_of(value, field)
    total = data.get(field.bar) if isinstance(field.bar, str) else None
    unit = "" if field.duration else field.unit
    return fill(
        _ROW,
        attributes=_hints(name, field, band, is_pending=is_pending, is_text=isinstance(value, str)),
        label=field.label or name,
        value=field.pending_word if is_pending else write(value, field),
        total="" if total is None else fill(_TOTAL, total=write(total, field)),
        unit=fill(_UNIT, unit=unit) if unit else "",
        band=band.word,
    )


def _hints(
    name: str, field: FieldDescription, band: Band, *, is_pending: bool, is_text: bool
) -> Html:
    bands = [(b.limit, b.tone, b.word, b.below is not None) for b in field.bands]
    return attributes(
        data_field=name,
        data_tone=band.tone or None,
        data_pending=is_pending,
        data_text=is_text,
        data_decimals=field.decimals,
        data_duration=field.duration,
        data_words=_json(field.words),
        data_bands=_json(bands),
        data_total=field.bar if isinstance(field.bar, str) else None,
        data_unless_zero=field.pending,
        data_meanwhile=field.pending_word or None,
    )


def _json(values: Sequence[object]) -> str | None:
    return msgspec.json.encode(values).decode() if values else None
