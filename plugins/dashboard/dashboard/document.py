"""The HTML document. Its style sheet and scripts are files of the hub; nothing is inline."""

from dashboard import attention
from dashboard.areas import areas
from dashboard.attention import Item
from dashboard.broker_panel import broker_panel
from dashboard.cards import cards
from dashboard.dialogs import dialogs
from dashboard.logs import log_viewer
from dashboard.markup import Html, element
from dashboard.model import Model
from dashboard.outputs import outputs
from dashboard.plugin_table import plugin_table

# Views of a hub's page: path, name.
VIEWS = (("/", "Overview"), ("/alarms", "Alarms"), ("/log", "Log"), ("/system", "System"))
# The colours of frame/app.css, for the frame of an installed page.
_THEMES = (("dark", "#0a0e0c"), ("light", "#f1f5f0"))


def render(text: str) -> str:
    """Return the page for a JSON document: `hub_app.live.page_input.PageInput`."""
    model = Model(text)
    found = attention.items(model)
    return "<!doctype html>" + element(
        "html", _head(model.root_path, found), _body(model, found), lang="en"
    )


def _head(root: str, found: list[Item]) -> Html:
    return element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name_="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name_="color-scheme", content="dark light"),
        *(
            element(
                "meta", name_="theme-color", content=color, media=f"(prefers-color-scheme: {name})"
            )
            for name, color in _THEMES
        ),
        element("title", attention.title(attention.open_count(found))),
        element("link", rel="icon", type="image/svg+xml", href=f"{root}/static/frame/favicon.svg"),
        element("link", rel="apple-touch-icon", href=f"{root}/static/frame/icons/icon-192.png"),
        element(
            "link",
            rel="manifest",
            href=f"{root}/static/frame/manifest.json",
            crossorigin="use-credentials",
        ),
        element("link", rel="stylesheet", href=f"{root}/static/frame/app.css"),
        element("link", rel="stylesheet", href=f"{root}/static/overview/overview.css"),
        element("script", src=f"{root}/static/overview/overview.js", type="module"),
        element("script", src=f"{root}/static/frame/old-browser.js", nomodule=True, defer=True),
    )


def _body(model: Model, found: list[Item]) -> Html:
    return element(
        "body",
        _header(model, attention.open_count(found)),
        element("noscript", element("p", _WITHOUT_SCRIPTS, class_="notice")),
        element(
            "main",
            attention.panel(model, found),
            *(_cards_and_panels(model) if model.has_panels else _many(model, found)),
            # Behind everything that has a row.
            model.formats.listing(),
            data_now=model.now_ms,
            data_partial=model.is_partial,
            data_panels=model.has_panels,
        ),
        *(dialogs() if model.may_command else ()),
        element("footer", element("p", f"harvester {model.version}")),
        # Screen readers read out what becomes an alarm.
        element("p", id="announcement", class_="for-readers", role="alert"),
    )


_WITHOUT_SCRIPTS = (
    "Without JavaScript, the values stay as they were when this page was loaded: load it again."
)


def _header(model: Model, count: int) -> Html:
    links = (
        element(
            "a", name, href=f"{model.root_path}{path}", aria_current="page" if path == "/" else None
        )
        for path, name in model.links or VIEWS
    )
    return element(
        "header",
        element("h1", "HARVESTER", element("span", "OS", class_="os")),
        element("nav", *links, class_="views", aria_label="Views"),
        attention.counter(model, count),
        _filter(),
        element("button", "Fold all", type="button", id="fold-all", hidden=True),
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
    )


def _filter() -> Html:
    """Return the filter box, hidden until a script shows it where there are many nodes."""
    return element(
        "input",
        type="search",
        id="filter",
        placeholder="Filter",
        aria_label="Filter by area, node or sensor",
        autocomplete="off",
        hidden=True,
    )


def _cards_and_panels(model: Model) -> list[Html | str]:
    # Columns of cards end at about the same height where the tall ones come last.
    low, tall = cards(model)
    return [
        element("div", *low, outputs(model), broker_panel(), *tall, class_="board"),
        _legend(),
        element("div", plugin_table(model), log_viewer(model), class_="below"),
    ]


def _many(model: Model, found: list[Item]) -> list[Html]:
    nothing = element("p", "Nothing fits the filter.", id="nothing-found", hidden=True)
    return [areas(model, found), nothing, _legend()]


def _legend() -> Html:
    """Return the explanation of the coverage bars, whose list coverage.js fills in."""
    summary = element("summary", "What the coverage bars say")
    return element("details", summary, element("dl"), class_="legend", id="coverage-legend")


def _log_out(root: str) -> Html:
    """Return a form, which needs no script."""
    return element("form", element("button", "Log out"), method="post", action=f"{root}/logout")
