"""Jinja templates of entities, which render without an error whatever arrives.

Home Assistant logs an error that names the entity where a template fails, so none assumes JSON, an
object or a field. Names and texts go in as literals of plain ASCII: a text cannot end its literal.
"""

from collections.abc import Sequence

# Letters that mean nothing to Jinja and to a literal.
_SAFE = frozenset(
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789 !$&()*+,-./:;<=>?@[]^_|~"
)
# The longest state that Home Assistant keeps.
MAX_STATE_CHARS = 255


def literal(text: str) -> str:
    """Return a Jinja string literal, in plain ASCII and without quotes or braces inside."""
    return f"'{''.join(letter if letter in _SAFE else _escaped(letter) for letter in text)}'"


def literals(texts: Sequence[str]) -> str:
    return f"[{', '.join(map(literal, texts))}]"


def value_of(*path: str) -> str:
    """Return statements that set `v` to a value inside the JSON payload, or to None."""
    first, *others = path
    steps = "".join(
        f"{{% set v = v.get({literal(key)}) if v is mapping else none %}}" for key in others
    )
    start = f"value_json.get({literal(first)}) if value_json is mapping else none"
    return f"{{% set v = {start} %}}{steps}"


# Home Assistant 2024.3 takes None for the text "None" where a state is no number.
UNKNOWN = "unknown"


def text_of(*path: str) -> str:
    """Return the template of a text: as it is, cut to what a state may have."""
    cut = f"(v | string)[:{MAX_STATE_CHARS}]"
    return f"{value_of(*path)}{{{{ {cut} if v is not none else '{UNKNOWN}' }}}}"


def one_of(path: Sequence[str], allowed: Sequence[str]) -> str:
    """Return the template of a text that is one of `allowed`, or else unknown."""
    return f"{value_of(*path)}{{{{ v if v in {literals(allowed)} else '{UNKNOWN}' }}}}"


def word_of(path: Sequence[str], words: Sequence[str]) -> str:
    """Return the template of one of `words`, which comes as itself or as its place from 0 on."""
    known = literals(words)
    place = f"{IS_NUMBER} and v >= 0 and v < {len(words)} and v == v | int"
    word = f"{known}[v | int] if {place} else v if v in {known} else '{UNKNOWN}'"
    return f"{value_of(*path)}{{{{ {word} }}}}"


def number_of(
    path: Sequence[str], least: float | None = None, most: float | None = None, shown: str = "v"
) -> str:
    """Return the template of a number; one outside its bounds is unknown.

    `shown` is the expression of what is shown of `v`.
    """
    bounds = "" if least is None else f" and v >= {least!r}"
    bounds += "" if most is None else f" and v <= {most!r}"
    return f"{value_of(*path)}{{{{ {shown} if {IS_NUMBER}{bounds} else None }}}}"


# True is a number in Jinja, too.
IS_NUMBER = "v is number and v is not boolean"


def flag_of(*path: str) -> str:
    """Return the template of ON or OFF: true, or a number other than 0, is ON."""
    return f"{value_of(*path)}{{{{ ('ON' if v else 'OFF') if v is number else None }}}}"


def _escaped(letter: str) -> str:
    code = ord(letter)
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
