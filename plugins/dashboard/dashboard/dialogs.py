"""Dialogs of the page; its scripts open them."""

from dashboard.markup import Html, element

# As many as a message on the bus may have.
_NAME_CHARS = 80


def dialogs() -> list[Html]:
    return [_remove_dialog(), _name_dialog(), _settings_dialog()]


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
