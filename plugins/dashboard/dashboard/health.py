"""Rows of a node's heartbeat."""

from dashboard import fields
from dashboard.markup import Html, join
from dashboard.model import Entry, Model
from dashboard.rows import field_row


def heartbeat_rows(model: Model, heartbeat: Entry) -> Html:
    return join(
        [
            field_row(name, field, heartbeat.value, model.formats)
            for name, field in fields.HEARTBEAT_FIELDS.items()
        ]
    )
