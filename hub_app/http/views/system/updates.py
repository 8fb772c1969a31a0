"""Panel of the updates of nodes: their versions, how far the last round is, and its buttons."""

import itertools

import msgspec

from bus.contract.value_text import ABSENT
from bus.install.compatibility import mismatch
from bus.install.version import VERSION
from hub_app.http.slices import sliced
from hub_app.http.views.system.notable import bounded
from hub_app.http.views.template import Html, attributes, fill, join, join_many
from hub_app.hub import Hub
from hub_app.nodes.update.round import NodeUpdate, Round
from hub_app.nodes.update.updater import NodeUpdater

_TABLE = (
    '<table>\n<thead><tr><th scope="col">node</th><th scope="col">version</th>'
    '<th scope="col">last update</th></tr></thead>\n<tbody>\n$rows</tbody></table>\n'
    "$sentences$buttons"
    '<p id="update-answer" role="status"></p>\n'
)
_ROW = '<tr><th scope="row">$node</th><td>$version</td><td>$state</td></tr>\n'
_FAULT = '<p class="fault">$text</p>\n'
_BUTTON = '<button type="button" class="button"$attributes>$label</button>\n'
_MOST_SENTENCES = 20
_NONE = "<p>no nodes but the hub's own</p>\n"


async def panel(hub: Hub, updater: NodeUpdater | None, *, operates: bool) -> Html:
    """Return the panel's content; with the right to command, its buttons."""
    if updater is None:
        return Html("")
    nodes = [name for name in hub.state.nodes if name != updater.own_node]
    if not nodes:
        return fill(_NONE)
    found = updater.round
    versions = [(name, _version(hub, name)) async for name in sliced(nodes)]
    told = [text async for text in sliced(itertools.starmap(_mismatch, versions)) if text]
    if len(told) > _MOST_SENTENCES:
        told = [*told[:_MOST_SENTENCES], f"and {len(told) - _MOST_SENTENCES} more"]
    if found.stopped:
        told.append(f"The round of updates stopped. {found.stopped}")
    shown, left_out = bounded(versions, lambda row: row[0] in found.nodes or row[1] != VERSION)
    rows = await join_many(
        fill(_ROW, node=name, version=version, state=_state(found.nodes.get(name)))
        for name, version in shown
    )
    sentences = [left_out, *(fill(_FAULT, text=text) for text in told)]
    buttons = _buttons(nodes, found) if operates else Html("")
    return fill(_TABLE, rows=rows, sentences=join(sentences), buttons=buttons)


def _mismatch(name: str, version: str) -> str:
    return mismatch(name, version, VERSION)


def _version(hub: Hub, name: str) -> str:
    # It may have been removed since the list was made.
    status = hub.state.presence(name).status if hub.state.has_node(name) else None
    return status.version if status else ""


def _state(node: NodeUpdate | None) -> str:
    if node is None:
        return ABSENT
    if node.progress == "waiting":
        return "waits for its turn"
    return f"{node.phase or 'asked'}: {node.reason}" if node.reason else node.phase or "asked"


def _buttons(nodes: list[str], found: Round) -> Html:
    """Return a button for all nodes, the first one as the canary; none while a round runs."""
    if found.asked and not found.stopped:
        return Html("")
    label = f"Update all, {nodes[0]} first" if len(nodes) > 1 else f"Update {nodes[0]}"
    body = msgspec.json.encode({"nodes": nodes, "canary": nodes[0]}).decode()
    return fill(_BUTTON, attributes=attributes(data_update=body, id="update-all"), label=label)
