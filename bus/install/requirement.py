"""Requirements in the metadata of an installed distribution: name, extra and marker (PEP 508)."""

import re

import msgspec

_NAME = re.compile(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)")
_EXTRA = re.compile(r"""extra\s*==\s*['"]([\w-]+)['"]""")


class Requirement(msgspec.Struct, frozen=True):
    """A library that a distribution needs.

    `extra` is empty where it always needs it; `marker` is the whole condition, as it stands.
    """

    name: str
    extra: str = ""
    marker: str = ""

    @property
    def is_for_all(self) -> bool:
        """Whether the extra is the only condition."""
        return not _EXTRA.sub("", self.marker).strip(" ()")


def parse(text: str) -> Requirement | None:
    """Return the requirement, its name in canonical form; None where it begins with no name."""
    specifier, _, marker = text.partition(";")
    name, extra = _NAME.match(specifier), _EXTRA.search(marker)
    if name is None:
        return None
    return Requirement(canonical_name(name.group(1)), extra.group(1) if extra else "", marker)


def canonical_name(name: str) -> str:
    """Return the name by which distributions are compared (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()
