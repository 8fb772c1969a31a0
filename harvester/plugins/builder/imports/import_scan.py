"""Import statements of Python source, found in its text. Pure.

A bundle's source is for the guest's Python, whose newest syntax the host's may not parse; import
statements have kept theirs.
"""

import re
from collections.abc import Iterator

import msgspec

_TEXT_OR_COMMENT = re.compile(
    r'"""(?:\\.|[^\\])*?"""'
    r"|'''(?:\\.|[^\\])*?'''"
    r'|"(?:\\.|[^"\\\n])*"'
    r"|'(?:\\.|[^'\\\n])*'"
    r"|(?P<comment>#[^\n]*)",
    re.DOTALL,
)
_BEGIN = r"(?:^|(?<=[;:]))[ \t]*"
_FROM = re.compile(rf"{_BEGIN}from\s+([.\w]+)\s+import\s*(\([^)]*\)|[^\n;]+)", re.MULTILINE)
_IMPORT = re.compile(rf"{_BEGIN}import\s+([^\n;]+)", re.MULTILINE)
# The body of `if TYPE_CHECKING:`, which never runs, on the line or indented below it.
_FOR_TYPES = re.compile(
    r"^(?P<indent>[ \t]*)(?:el)?if[ \t(]+(?:typing\.)?TYPE_CHECKING\b[ \t)]*:"
    r"[^\n]*(?:\n(?:(?P=indent)[ \t][^\n]*|[ \t]*(?=\n)))*",
    re.MULTILINE,
)


class Import(msgspec.Struct, frozen=True):
    """One imported module; `names` are those taken from it, none where it is imported itself."""

    module: str
    names: tuple[str, ...] = ()


def imports(source: str) -> Iterator[Import]:
    """Yield what the import statements of `source` name."""
    plain = _TEXT_OR_COMMENT.sub(lambda found: "" if found["comment"] else '""', source)
    plain = plain.replace("\r\n", "\n").replace("\\\n", " ")
    plain = _FOR_TYPES.sub("", plain)
    for module, names in _FROM.findall(plain):
        yield Import(module, tuple(_names(names)))
    for modules in _IMPORT.findall(plain):
        yield from (Import(module) for module in _names(modules))


def _names(listed: str) -> Iterator[str]:
    """Yield the names of `a, b as c`, in brackets or not."""
    for part in listed.strip().strip("()").split(","):
        words = part.split()
        if words:
            yield words[0]
