"""Shadow runs at a node: values of the running version and of its shadow, and what both cost."""

from typing import Any

from bus.contract.messages import Costs, ShadowReport
from bus.contract.topics import Topic, TopicKind
from bus.contract.value_text import ABSENT
from hub_app.http.views.moments import moment
from hub_app.http.views.template import Html, attributes, fill, join
from hub_app.live.change import Change
from hub_app.live.state import State

_SHADOW = """<h3>$name, version $version in the shadow since $since</h3>
<p class="quiet">$polls polls, of which $differing differed and $failures failed. Median $p50 ms, \
of the running version $running_p50 ms.</p>
$error<div class="table"><table><thead><tr><th scope="col">value</th><th scope="col">running</th>\
<th scope="col">shadow</th><th scope="col">difference</th></tr></thead><tbody>
$values</tbody></table></div>
$effects$unanswered$buttons"""
_VALUE = """<tr><th scope="row">$name</th><td data-label="running">$running</td>\
<td data-label="shadow">$shadow</td><td data-label="difference">$difference</td></tr>
"""
_BUTTONS = """<div class="buttons">\
<button type="button" class="small"$promote>Promote</button> \
<button type="button" class="small"$drop>Drop</button></div>
"""
_ERROR = '<p class="plugin-error" data-tone="bad">$error</p>\n'
_CALLS = """<details id="$id"><summary>$summary</summary><pre tabindex="0" \
aria-label="$summary">$lines</pre></details>
"""


def shadows(state: State, node: str, *, operates: bool) -> Html:
    """Return each shadow run of a node, nothing where there is none."""
    costs: Costs | None = state.value(Topic(node, TopicKind.COSTS))
    entries = [entry for entry in state.of_node(node) if entry.kind is TopicKind.SHADOW]
    entries.sort(key=lambda entry: entry.name)
    return join([_shadow(entry, costs, operates=operates) for entry in entries])


def _shadow(entry: Change, costs: Costs | None, *, operates: bool) -> Html:
    told: ShadowReport = entry.value
    running = costs.plugins.get(entry.name) if costs is not None else None
    return fill(
        _SHADOW,
        name=entry.name,
        version=told.version or told.sha256[:12] or ABSENT,
        since=moment(told.since_ms),
        polls=told.polls,
        differing=told.differing,
        failures=told.failures,
        p50=f"{told.p50_ms:.3g}",
        running_p50=f"{running.p50_ms:.3g}" if running is not None else ABSENT,
        error=fill(_ERROR, error=told.error) if told.error else "",
        values=join([_value(name, *pair) for name, pair in told.values.items()]),
        effects=_calls(
            f"effects-{entry.name}", f"{told.effects} effects not carried out", told.newest_effects
        ),
        unanswered=_calls(
            f"unanswered-{entry.name}",
            f"{told.unanswered} calls without an answer",
            told.newest_unanswered,
        ),
        buttons=_buttons(entry) if operates else "",
    )


def _buttons(entry: Change) -> Html:
    def button(action: str, path: str) -> Html:
        return attributes(
            data_shadow_of=entry.name,
            data_path=path,
            id=f"{action}-{entry.name}",
            aria_label=f"{action.capitalize()} the shadow of {entry.name} at {entry.node}",
        )

    return fill(
        _BUTTONS,
        promote=button("promote", "/api/deliveries/promote"),
        drop=button("drop", "/api/deliveries/rollback"),
    )


def _value(name: str, running: Any, shadow: Any) -> Html:
    numbers = [value for value in (running, shadow) if type(value) in (int, float)]
    both = len(numbers) == len((running, shadow))
    return fill(
        _VALUE,
        name=name,
        running=_text(running),
        shadow=_text(shadow),
        difference=f"{shadow - running:+.6g}" if both else "",
    )


def _text(value: Any) -> str:
    if value is None:
        return ABSENT
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _calls(identity: str, summary: str, lines: list[str]) -> Html:
    if not lines:
        return Html("")
    return fill(_CALLS, id=identity, summary=summary, lines="\n".join(lines))
