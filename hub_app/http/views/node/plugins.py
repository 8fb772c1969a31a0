"""Plugins of a node: state, version, build, last error with its traceback, and commands."""

from bus.contract.description import About
from bus.contract.messages import PluginState
from bus.contract.topics import Topic, TopicKind
from bus.contract.value_text import ABSENT
from hub_app.http.views.moments import moment
from hub_app.http.views.node import delivered
from hub_app.http.views.template import Html, attributes, fill, join
from hub_app.live.change import Change
from hub_app.live.state import State

# Action of the command, label of the button.
_ACTIONS = (("reload", "Reload"), ("enable", "Enable"), ("disable", "Disable"))
# Before the failure of a plugin that runs again.
_FORMER = "runs again after: "
# As much of a digest as names a build.
_BUILD_CHARS = 12

_ROW = """<tr data-plugin="$state"><th scope="row">$name</th>
<td class="state"><span class="value">$state</span></td><td data-label="since">$since</td>
<td data-label="version">$version</td>
<td data-label="build" title="$sha256">$build</td><td data-label="restarts">$restarts</td>
<td class="commands"><div class="buttons">$buttons</div></td></tr>
$error"""
_ERROR = """<tr class="error-row"><td colspan="7"><details id="error-$name">\
<summary data-tone="$tone">$last</summary>
<pre tabindex="0" aria-label="Traceback of $name">$error</pre></details></td></tr>
"""
_ONE_LINE = """<tr class="error-row"><td colspan="7">\
<p class="plugin-error" data-tone="$tone">$error</p></td></tr>
"""
_BUTTON = '<button type="button" class="small"$attributes>$label</button>'


def plugins(state: State, node: str, about: About, *, operates: bool) -> Html:
    """Return a row for each plugin; its commands are those that the node takes."""
    entries = sorted(
        (entry for entry in state.of_node(node) if entry.kind is TopicKind.PLUGIN),
        key=lambda entry: entry.name,
    )
    commands = about.actuators.get("plugins", []) if operates else []
    return join(
        [part for each in entries for part in (_row(each, commands), _delivered(state, each))]
    )


def _row(entry: Change, commands: list[str]) -> Html:
    plugin: PluginState = entry.value
    return fill(
        _ROW,
        name=entry.name,
        state=plugin.state,
        since=moment(plugin.since_ms or plugin.loaded_ms),
        version=plugin.version or ABSENT,
        build=plugin.sha256[:_BUILD_CHARS] or ABSENT,
        sha256=plugin.sha256,
        restarts=plugin.restarts,
        buttons=_buttons(entry, commands),
        error=_error(entry.name, plugin),
    )


def _delivered(state: State, entry: Change) -> Html:
    told = state.value(Topic(entry.node, TopicKind.DELIVERY, entry.name))
    said = delivered.sentence(told)
    return fill(_ONE_LINE, tone="quiet", error=said) if said else Html("")


def _error(name: str, plugin: PluginState) -> Html:
    """Return the error that holds, else the last failure; a traceback unfolds below it."""
    failure = plugin.last_failure.strip()
    lines = (plugin.error or failure).strip().splitlines()
    if not lines:
        return Html("")
    said = lines[-1] if plugin.error else f"{_FORMER}{lines[-1]}"
    tone = "bad" if plugin.error else "quiet"
    # A node of an older version has the traceback in `error`.
    traceback = plugin.error.strip() if len(lines) > 1 and plugin.error else failure
    if len(traceback.splitlines()) > 1:
        return fill(_ERROR, name=name, tone=tone, last=said, error=traceback)
    return fill(_ONE_LINE, tone=tone, error=said)


def _buttons(entry: Change, commands: list[str]) -> Html:
    named = f"{entry.name} of {entry.node}"
    # What has no effect in this state.
    without = "disable" if entry.value.state == "disabled" else "enable"
    buttons = [
        (
            label,
            attributes(
                data_node=entry.node,
                data_commands=entry.name,
                data_action=action,
                id=f"{action}-{entry.name}",
                aria_label=f"{label} {named}",
            ),
        )
        for action, label in _ACTIONS
        if action in commands and action != without
    ]
    if "set" in commands and entry.value.described:
        found = attributes(
            data_settings_of=entry.topic,
            id=f"settings-{entry.name}",
            aria_label=f"Settings of {named}",
        )
        buttons.append(("Settings", found))
    return join([fill(_BUTTON, attributes=found, label=label) for label, found in buttons])
