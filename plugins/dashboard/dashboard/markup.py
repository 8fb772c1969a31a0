"""HTML builder. The only module that escapes text and writes tags."""

_ESCAPES = str.maketrans(
    {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;", "\0": "\ufffd"}
)
_VOID = frozenset({"img", "input", "link", "meta"})

Attribute = str | int | float | bool | None


class Html(str):
    """Text that is markup and must not be escaped again. Only this module creates it."""

    __slots__ = ()


def element(name: str, *children: str, **attributes: Attribute) -> Html:
    """Return one element. Children that are not Html are escaped, and so is every attribute.

    `data_topic=` is the attribute `data-topic`, `class_=` is `class`. An attribute that is None or
    False is omitted; True makes one without a value.
    """
    start = f"<{name}{''.join(map(_attribute, attributes.items()))}>"
    if name in _VOID:
        return Html(start)
    return Html(f"{start}{join(children)}</{name}>")


def join(children: tuple[str, ...] | list[Html]) -> Html:
    return Html("".join(child if isinstance(child, Html) else escape(child) for child in children))


def escape(text: str) -> Html:
    """Return `text` safe between tags and inside quoted attributes."""
    return Html(text.translate(_ESCAPES))


def _attribute(item: tuple[str, Attribute]) -> str:
    name, value = item
    if value is None or value is False:
        return ""
    written = name.rstrip("_").replace("_", "-")
    return f" {written}" if value is True else f' {written}="{escape(str(value))}"'
