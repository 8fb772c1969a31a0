"""Table of all plugins: the state of each, and buttons for its commands."""

from dashboard import fields
from dashboard.fields import BUILD, PLUGIN_FIELDS, Field
from dashboard.markup import Html, element, join
from dashboard.model import Entry, Model

# Buttons of a plugin: action of the command, label of the button. A node that says which actions it
# takes has no button for the others, and what has no effect in the plugin's state is hidden.
ACTIONS = (("reload", "Reload"), ("enable", "Enable"), ("disable", "Disable"))


def plugin_table(model: Model) -> Html | str:
    """Return a table with a row for every plugin of every node, or nothing.

    The ARIA roles are explicit: a small screen lays the rows out as blocks, and a browser may then
    no longer treat the element as a table.
    """
    entries = sorted(model.of_kind("plugin"), key=lambda entry: (entry.node, entry.name))
    if not entries:
        return ""
    commands = ["command"] if model.may_command else []
    heads = ["node", "plugin", *(field.label for field in PLUGIN_FIELDS.values()), *commands]
    rows = (_row(model, entry) for entry in entries)
    return element(
        "section",
        element("h2", "Plugins", id="plugins"),
        element(
            "table",
            element("thead", element("tr", *map(_head, heads), role="row"), role="rowgroup"),
            element("tbody", *rows, role="rowgroup"),
            role="table",
            aria_labelledby="plugins",
        ),
        # The result of the last command; screen readers read it out when it changes.
        element("output", class_="answer", id="plugin-answer"),
        class_="panel plugins",
        aria_labelledby="plugins",
    )


def _head(text: str) -> Html:
    return element("th", text, scope="col", role="columnheader")


def _row(model: Model, entry: Entry) -> Html:
    return element(
        "tr",
        element("td", entry.node, role="cell", class_="of-node-name", data_label="node"),
        element("th", entry.name, role="rowheader", scope="row"),
        join(
            [_version(entry) if name == "version" else _cell(name, entry) for name in PLUGIN_FIELDS]
        ),
        _buttons(model, entry) if model.may_command else "",
        role="row",
        data_topic=entry.topic,
        data_plugin=entry.value["state"],
    )


def _version(entry: Entry) -> Html:
    """Return a cell with the author's version and the beginning of the digest."""
    return element(
        "td",
        _part("version", PLUGIN_FIELDS["version"], entry.value.get("version", "")),
        " ",
        _part("sha256", BUILD, entry.value["sha256"]),
        role="cell",
        class_="version",
        data_label=PLUGIN_FIELDS["version"].label,
    )


def _part(name: str, field: Field, value: str) -> Html:
    return element(
        "span",
        element("span", fields.write(field, value), class_="value"),
        class_=name,
        title=value if field.first else None,
        data_field=name,
        **fields.hints(field),
    )


def _cell(name: str, entry: Entry) -> Html:
    field, value = PLUGIN_FIELDS[name], entry.value[name]
    return element(
        "td",
        element("span", fields.write(field, value), class_="value"),
        role="cell",
        class_=name,
        data_field=name,
        data_label=field.label,
        **fields.hints(field),
    )


def _buttons(model: Model, entry: Entry) -> Html:
    taken = model.plugin_actions(entry.node)
    made = (_button(entry, action, label) for action, label in ACTIONS if action in taken)
    settings = element(
        "button",
        "Settings",
        type="button",
        id=f"settings-{entry.node}-{entry.name}",
        aria_label=f"Settings of {entry.name} of {entry.node}",
        data_settings_of=entry.topic,
        hidden=not entry.value.get("described"),
    )
    buttons = element("div", *made, settings if "set" in taken else "", class_="buttons")
    return element("td", buttons, role="cell", class_="commands")


def _button(entry: Entry, action: str, label: str) -> Html:
    return element(
        "button",
        label,
        type="button",
        id=f"{action}-{entry.node}-{entry.name}",
        aria_label=f"{label} {entry.name} of {entry.node}",
        data_node=entry.node,
        data_commands=entry.name,
        data_action=action,
        hidden=action == ("disable" if entry.value["state"] == "disabled" else "enable"),
    )
