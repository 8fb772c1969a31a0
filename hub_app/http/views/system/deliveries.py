"""Panel of delivered plugins: versions at each node, reasons for going back, and the way back."""

import msgspec

from bus.contract.value_text import ABSENT
from hub_app.http.views.system.notable import bounded
from hub_app.http.views.template import Html, attributes, fill, fill_file, join, join_many
from hub_app.nodes.delivery import report
from hub_app.nodes.delivery.deliverer import Deliverer
from hub_app.nodes.delivery.reason import sentences
from hub_app.nodes.delivery.report import PluginVersion
from hub_app.nodes.delivery.rollout import FETCHING, Rollout

_TABLE = (
    '<div class="table"><table>\n<thead><tr><th scope="col">plugin</th><th scope="col">node</th>'
    '<th scope="col">runs</th><th scope="col">wanted</th><th scope="col">delivery</th>'
    '<th scope="col"><span class="for-readers">commands</span></th></tr></thead>\n'
    "<tbody>\n$rows</tbody></table></div>\n$sentences"
    '<p id="delivery-answer" role="status"></p>\n'
)
_ROW = (
    '<tr><th scope="row">$plugin</th><td data-label="at">$node</td>'
    '<td data-label="runs" title="$sha256">$runs</td>'
    '<td data-label="wanted" title="$wanted_sha256">$wanted</td>'
    '<td data-label="delivery">$state</td><td>$button</td></tr>\n$reason'
)
_REASON = (
    '<tr class="error-row"><td colspan="6"><details id="delivery-$plugin-$node">'
    '<summary data-tone="bad">$last</summary><pre tabindex="0" '
    'aria-label="Reason of $plugin at $node">$text</pre></details></td></tr>\n'
)
_SENTENCE = '<p class="$tone">$text</p>\n'
_BUTTON = '<button type="button" class="small"$attributes>Roll back</button>'
_NODE = '<option value="$node">$node</option>'
_NONE = "<p>no node has told of a plugin yet</p>\n"
# As much of a digest as names a build.
_BUILD_CHARS = 12
_OWN_FILE = "the node's own file"


async def panel(deliverer: Deliverer | None, *, operates: bool) -> Html:
    """Return the panel's content; with the right to command, its buttons."""
    if deliverer is None:
        return Html("")
    found = deliverer.found
    plugins = await report.plugins(found, deliverer.state)
    if not plugins:
        return fill(_NONE)
    shown, left_out = bounded(plugins, _is_notable)
    rows = await join_many(_row(row, operates=operates) for row in shown)
    sentences = [left_out, *map(_progress, found.rollouts.values())]
    if deliverer.fault:
        sentences.append(fill(_SENTENCE, tone="fault", text=deliverer.fault))
    return fill(
        _TABLE,
        rows=rows,
        sentences=join(sentences),
    )


async def form(deliverer: Deliverer | None, *, operates: bool) -> Html:
    """Return the form that deploys a bundle, for those who may."""
    if deliverer is None or not operates:
        return Html("")
    nodes = sorted(deliverer.state.nodes)
    options = await join_many(fill(_NODE, node=node) for node in nodes)
    return fill_file("system/deploy.html", nodes=options)


def _row(row: PluginVersion, *, operates: bool) -> Html:
    return fill(
        _ROW,
        plugin=row.plugin,
        node=row.node,
        runs=_named(row.version, row.sha256) or row.state or ABSENT,
        sha256=row.sha256,
        wanted=_wanted(row),
        wanted_sha256=row.wanted_sha256,
        state=_state(row),
        button=_button(row) if operates and row.can_go_back else "",
        reason=_reason(row),
    )


def _is_notable(row: PluginVersion) -> bool:
    return bool(row.wanted_release or row.refused or row.state == "failed")


def _wanted(row: PluginVersion) -> str:
    if not row.wanted_release:
        return ABSENT
    return _named(row.wanted_version, row.wanted_sha256) or _OWN_FILE


def _named(version: str, sha256: str) -> str:
    return version or sha256[:_BUILD_CHARS]


def _state(row: PluginVersion) -> str:
    if row.phase == "probation":
        return f"on probation, {row.polls} of {row.probation} polls"
    if row.phase == "rolled-back":
        return f"went back after {row.polls} of {row.probation} polls"
    if row.phase == FETCHING:
        return f"being fetched: {row.reason}"
    return row.phase or ABSENT


def _reason(row: PluginVersion) -> Html:
    if row.phase == FETCHING:
        return Html("")
    text = row.reason or (f"A message was refused: {row.refused}" if row.refused else "")
    if not text:
        return Html("")
    return fill(_REASON, plugin=row.plugin, node=row.node, last=sentences(text), text=text)


def _button(row: PluginVersion) -> Html:
    body = msgspec.json.encode({"plugin": row.plugin, "nodes": [row.node]}).decode()
    found = attributes(
        data_roll_back=body,
        id=f"roll-back-{row.plugin}-{row.node}",
        aria_label=f"Roll {row.plugin} of {row.node} back",
    )
    return fill(_BUTTON, attributes=found)


def _progress(found: Rollout) -> Html:
    """Return the sentence on a rollout that stopped or goes on; nothing on one that is over."""
    version = _named(found.target.version, found.target.sha256)
    what = f"{found.plugin} {version}" if version else f"{found.plugin}, back"
    if found.stopped:
        return fill(_SENTENCE, tone="fault", text=f"{what}: stopped. {found.stopped}")
    if found.is_over:
        return Html("")
    kept = sum(node.progress == "done" for node in found.nodes.values())
    text = f"{what}: kept by {kept} of {len(found.nodes)} nodes so far"
    return fill(_SENTENCE, tone="quiet", text=text)
