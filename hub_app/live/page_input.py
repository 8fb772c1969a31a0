"""Input of the dashboard plugin: the live state within what the plugin renders in time. Pure.

Sensors of one plugin have the same fields, so these are in a table beside the descriptions.
"""

import hashlib
from collections.abc import Sequence

import msgspec

from broker.auth.gate import Role
from bus.config.web_table import Card
from bus.contract.description import About, Fields, SensorDescription
from bus.install.version import VERSION
from hub_app.live.change import Change
from hub_app.live.fair_share import fair_share
from hub_app.live.state import Snapshot
from hub_app.live.views import DescriptionView

# The dashboard plugin renders this much well within its deadline and its memory.
_ENTRY_BYTES = 150_000
_FIELDS_BYTES = 100_000
_LOG_BYTES = 100_000

_ENCODER = msgspec.json.Encoder()


class PageDescription(msgspec.Struct, frozen=True):
    """The part of a description that the page shows; `fields` is a key of `PageInput.fields`."""

    digest: str
    title: str
    area: str
    fields: str = ""
    actuators: Sequence[str] = ()


class PageInput(msgspec.Struct, frozen=True):
    """The input of the dashboard plugin. `role` is None where nobody has to log in.

    `is_partial`: there is more than fits on a page, and each node has its share of it.

    `root_path` is the prefix of the page's URLs.
    """

    now_ms: int
    version: str
    cards: Sequence[Card]
    entries: list[Change]
    logs: list[Change]
    fields: dict[str, Fields] = {}
    role: Role | None = None
    is_partial: bool = False
    root_path: str = ""


def page_input(
    snapshot: Snapshot, cards: Sequence[Card], role: Role | None = None, root_path: str = ""
) -> PageInput:
    """Return the state as the plugin gets it; each node has a fair share of what there is."""
    tables: dict[str, Change] = {}
    all_entries = [_of_page(entry, tables) for entry in snapshot.entries]
    entries = fair_share(all_entries, _ENTRY_BYTES, _encoded_bytes)
    fields = fair_share(tables.values(), _FIELDS_BYTES, _encoded_bytes)
    return PageInput(
        now_ms=snapshot.now_ms,
        version=VERSION,
        cards=cards,
        entries=entries,
        logs=fair_share(snapshot.logs, _LOG_BYTES, _encoded_bytes),
        fields={table.name: table.value for table in fields},
        role=role,
        is_partial=len(entries) < len(all_entries) or len(fields) < len(tables),
        root_path=root_path,
    )


def _of_page(entry: Change, tables: dict[str, Change]) -> Change:
    """Return an entry as the page needs it; the fields of a description go into `tables`."""
    view = entry.value
    if not isinstance(view, DescriptionView):
        return entry
    described = view.description
    if isinstance(described, About):
        names = list(described.actuators)
        shown = PageDescription(view.digest, described.title, described.area, actuators=names)
    else:
        key = _table_key(described)
        tables.setdefault(key, Change(key, entry.kind, entry.node, key, described.fields))
        shown = PageDescription(view.digest, described.title, described.area, key)
    return msgspec.structs.replace(entry, value=shown)


def _table_key(described: SensorDescription) -> str:
    return hashlib.sha256(_ENCODER.encode(described.fields)).hexdigest()[:16]


def _encoded_bytes(change: Change) -> int:
    return len(_ENCODER.encode(change))
