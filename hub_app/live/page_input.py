"""Input of the dashboard plugin: the live state within what the plugin renders in time. Pure.

Sensors of one plugin have the same fields, so these are in a table beside the descriptions. A few
nodes have a card each, and panels of their outputs, plugins and logs. Of many nodes, the page has
the sensors, grouped by area.
"""

import hashlib
from collections.abc import Sequence
from typing import get_args

import msgspec

from broker.auth.gate import Role
from bus.config.web_table import Card
from bus.contract.commands import PluginAction
from bus.contract.description import About, Fields, SensorDescription
from bus.contract.topics import TopicKind
from bus.install.version import VERSION
from hub_app.live.change import Change
from hub_app.live.fair_share import fair_share
from hub_app.live.state import Snapshot
from hub_app.live.views import DescriptionView

# The dashboard plugin renders this much well within its deadline and its memory.
_ENTRY_BYTES = 600_000
_FIELDS_BYTES = 100_000
_LOG_BYTES = 100_000

# With more of either, the page has no panels.
MOST_NODES_WITH_PANELS = 5
_MOST_SENSORS_WITH_PANELS = 60

_OF_PANELS = frozenset(
    {TopicKind.LEDS, TopicKind.OLED, TopicKind.BUZZER, TopicKind.FAN, TopicKind.RESULT}
)
_PLUGIN_ACTIONS = get_args(PluginAction)

_ENCODER = msgspec.json.Encoder()


class PageDescription(msgspec.Struct, frozen=True):
    """The part of a description that the page shows; `fields` is a key of `PageInput.fields`.

    `plugin_actions` are the commands that a node takes for its plugins.
    """

    digest: str
    title: str
    area: str
    fields: str = ""
    actuators: Sequence[str] = ()
    plugin_actions: Sequence[str] = ()


class PageInput(msgspec.Struct, frozen=True):
    """The input of the dashboard plugin. `role` is None where nobody has to log in.

    `is_partial`: there is more than fits on a page, and each node has its share of it.

    `has_panels`: the page has panels of outputs, plugins and logs.

    `root_path` is the prefix of the page's URLs.

    `is_read_only`: the page commands nothing, whoever looks. `links` are path and label of the
    views in the header; none stands for the views of a hub.
    """

    now_ms: int
    version: str
    cards: Sequence[Card]
    entries: list[Change]
    logs: list[Change]
    fields: dict[str, Fields] = {}
    role: Role | None = None
    is_partial: bool = False
    has_panels: bool = True
    root_path: str = ""
    is_read_only: bool = False
    links: Sequence[tuple[str, str]] = ()


def page_input(
    snapshot: Snapshot, cards: Sequence[Card], role: Role | None = None, root_path: str = ""
) -> PageInput:
    """Return the state as the plugin gets it; each node has a fair share of what there is."""
    tables: dict[str, Change] = {}
    has_panels = _has_panels(snapshot)
    all_entries = [
        _of_page(entry, tables) for entry in snapshot.entries if has_panels or _is_of_sensors(entry)
    ]
    entries = fair_share(all_entries, _ENTRY_BYTES, _encoded_bytes)
    fields = fair_share(tables.values(), _FIELDS_BYTES, _encoded_bytes)
    return PageInput(
        now_ms=snapshot.now_ms,
        version=VERSION,
        cards=cards,
        entries=entries,
        logs=fair_share(snapshot.logs, _LOG_BYTES, _encoded_bytes) if has_panels else [],
        fields={table.name: table.value for table in fields},
        role=role,
        is_partial=len(entries) < len(all_entries) or len(fields) < len(tables),
        has_panels=has_panels,
        root_path=root_path,
    )


def _has_panels(snapshot: Snapshot) -> bool:
    nodes = {entry.node for entry in snapshot.entries}
    sensors = sum(entry.kind is TopicKind.READING for entry in snapshot.entries)
    return len(nodes) <= MOST_NODES_WITH_PANELS and sensors <= _MOST_SENSORS_WITH_PANELS


def _is_of_sensors(entry: Change) -> bool:
    """Whether a page without panels shows an entry; of the plugins, it names those that failed."""
    if entry.kind is TopicKind.PLUGIN:
        return bool(entry.value.state == "failed")
    return entry.kind not in _OF_PANELS


def _of_page(entry: Change, tables: dict[str, Change]) -> Change:
    """Return an entry as the page needs it; the fields of a description go into `tables`."""
    view = entry.value
    if not isinstance(view, DescriptionView):
        return entry
    described = view.description
    if isinstance(described, About):
        words = described.actuators
        shown = PageDescription(
            view.digest,
            described.title,
            described.area,
            actuators=list(words),
            plugin_actions=[word for word in _PLUGIN_ACTIONS if word in words.get("plugins", ())],
        )
    else:
        key = _table_key(described)
        tables.setdefault(key, Change(key, entry.kind, entry.node, key, described.fields))
        shown = PageDescription(view.digest, described.title, described.area, key)
    return msgspec.structs.replace(entry, value=shown)


def _table_key(described: SensorDescription) -> str:
    return hashlib.sha256(_ENCODER.encode(described.fields)).hexdigest()[:16]


def _encoded_bytes(change: Change) -> int:
    return len(_ENCODER.encode(change))
