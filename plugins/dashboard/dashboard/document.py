"""The HTML document. Its style sheet and scripts are files of the hub; nothing is inline."""

from dashboard.broker_panel import broker_panel
from dashboard.cards import cards
from dashboard.logs import log_viewer
from dashboard.markup import Html, element
from dashboard.model import Model
from dashboard.outputs import outputs
from dashboard.plugin_table import plugin_table

# As many as a message on the bus may have.
_NAME_CHARS = 80


def render(text: str) -> str:
    """Return the page for a JSON document: `hub_app.live.page_input.PageInput`."""
    model = Model(text)
    return "<!doctype html>" + element("html", _head(model.root_path), _body(model), lang="en")


def _head(root: str) -> Html:
    return element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name_="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name_="color-scheme", content="dark light"),
        element("title", "HARVESTER"),
        element("link", rel="icon", type="image/svg+xml", href=f"{root}/static/favicon.svg"),
        element("link", rel="stylesheet", href=f"{root}/static/app.css"),
        element("script", src=f"{root}/static/app.js", type="module"),
    )


def _body(model: Model) -> Html:
    return element(
        "body",
        element(
            "header",
            element("h1", "HARVESTER", element("span", "OS", class_="os")),
            element(
                "p",
                element("span", class_="light", aria_hidden="true"),
                element("span", "connecting", class_="text"),
                id="connection",
                role="status",
                data_state="connecting",
            ),
            _log_out(model.root_path) if model.role else "",
            class_="top",
        ),
        element(
            "main",
            element("div", cards(model), outputs(model), broker_panel(), class_="board"),
            _legend(),
            plugin_table(model),
            log_viewer(model),
            data_now=model.now_ms,
            data_partial=model.is_partial,
        ),
        *((_remove_dialog(), _name_dialog(), _settings_dialog()) if model.may_command else ()),
        element("footer", element("p", f"harvester {model.version}")),
    )


def _legend() -> Html:
    """Return the explanation of the coverage bars, whose list coverage.js fills in."""
    summary = element("summary", "What the coverage bars say")
    return element("details", summary, element("dl"), class_="legend", id="coverage-legend")


def _remove_dialog() -> Html:
    """Return the dialog that asks once before something is removed; removal.js opens it."""
    return element(
        "dialog",
        element(
            "form",
            element("p", class_="question"),
            element(
                "label",
                element("input", type="checkbox", name_="history"),
                " Delete what is stored of it, too",
            ),
            element(
                "div",
                element("button", "Cancel", value="cancel"),
                element("button", "Remove", value="remove"),
                class_="buttons",
            ),
            method="dialog",
        ),
        id="remove-dialog",
    )


def _name_dialog() -> Html:
    """Return the form for title and area of a sensor or node; names.js opens it."""
    return element(
        "dialog",
        element(
            "form",
            element("p", class_="question"),
            *(
                element("label", label, element("input", name_=name, maxlength=_NAME_CHARS))
                for label, name in (("Title", "title"), ("Area", "area"))
            ),
            element(
                "div",
                # The first is that of the Enter key.
                element("button", "Save", value="save"),
                element("button", "Cancel", value="cancel"),
                class_="buttons",
            ),
            method="dialog",
        ),
        id="name-dialog",
    )


def _settings_dialog() -> Html:
    """Return the form for a plugin's settings; settings.js opens it and fills in the inputs."""
    return element(
        "dialog",
        element(
            "form",
            element("p", class_="question"),
            element("div", class_="inputs"),
            element(
                "div",
                element("button", "Save", value="save"),
                element("button", "Cancel", value="cancel", formnovalidate=True),
                class_="buttons",
            ),
            method="dialog",
        ),
        id="settings-dialog",
    )


def _log_out(root: str) -> Html:
    """Return a form, which needs no script."""
    return element("form", element("button", "Log out"), method="post", action=f"{root}/logout")
