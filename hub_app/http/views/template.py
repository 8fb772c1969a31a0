"""HTML templates: files of the page and short texts, in which every value is escaped."""

import html
from functools import cache
from string import Template

from hub_app.http.responses import PAGE_DIR


class Html(str):
    """Text that is markup and is not escaped again; made of constants only, or by this module."""

    __slots__ = ()


def fill(template: str, /, **values: object) -> Html:
    """Return a template with its `$names` replaced; what is not Html is escaped."""
    safe = {
        name: value if isinstance(value, Html) else _escape(value) for name, value in values.items()
    }
    return Html(Template(template).substitute(safe))


def fill_file(name: str, /, **values: object) -> Html:
    """Return the template file `name` of the page, filled."""
    return fill(_read(name), **values)


def join(parts: list[Html]) -> Html:
    return Html("".join(parts))


def attributes(**values: str | float | bool | None) -> Html:
    """Return attributes of an element; `data_topic` is `data-topic`.

    One that is None or False is left out; True makes one without a value.
    """
    return Html(
        "".join(
            f" {name.replace('_', '-')}" + ("" if value is True else f'="{_escape(value)}"')
            for name, value in values.items()
            if value is not None and value is not False
        )
    )


def _escape(value: object) -> str:
    return html.escape(str(value).replace("\0", "\ufffd"))


@cache
def _read(name: str) -> str:
    return (PAGE_DIR / name).read_text(encoding="utf-8")
