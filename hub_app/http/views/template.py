"""HTML templates: files of the page and short texts, in which every value is escaped."""

import html
from collections.abc import Iterable
from functools import cache, lru_cache
from string import Template

from hub_app.http.responses import PAGE_DIR
from hub_app.http.slices import sliced


class Html(str):
    """Text that is markup and is not escaped again; made of constants only, or by this module."""

    __slots__ = ()


def fill(template: str, /, **values: object) -> Html:
    """Return a template with its `$names` replaced; what is not Html is escaped."""
    safe = {
        name: value if isinstance(value, Html) else _escape(value) for name, value in values.items()
    }
    text, *rest = _parts(template)
    # A list of a fleet's nodes fills thousands.
    for name, after in zip(rest[::2], rest[1::2], strict=True):
        text += safe[name] + after
    return Html(text)


def fill_file(name: str, /, **values: object) -> Html:
    """Return the template file `name` of the page, filled."""
    return fill(_read(name), **values)


def join(parts: list[Html]) -> Html:
    return Html("".join(parts))


async def join_many(parts: Iterable[Html]) -> Html:
    """Join thousands of parts; other tasks run after each slice of them."""
    return join([part async for part in sliced(parts)])


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


@lru_cache(1_000)
def _parts(template: str) -> tuple[str, ...]:
    """Return the texts of a template and the names between them."""
    parts, at, text = [], 0, ""
    for found in Template.pattern.finditer(template):
        text += template[at : found.start()]
        at = found.end()
        name = found["named"] or found["braced"]
        if name is None:
            # Fails unless it is `$$`.
            text += Template(found[0]).substitute()
        else:
            parts += [text, name]
            text = ""
    return (*parts, text + template[at:])


def _escape(value: object) -> str:
    return html.escape(str(value).replace("\0", "\ufffd"))


@cache
def _read(name: str) -> str:
    return (PAGE_DIR / name).read_text(encoding="utf-8")
