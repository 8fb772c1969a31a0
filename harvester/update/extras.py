"""Extras that an installed HARVESTER was installed with, as its metadata and libraries show."""

import re
from importlib import metadata
from importlib.metadata import Distribution, PackageNotFoundError

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_EXTRA = re.compile(r"""extra\s*==\s*['"]([\w-]+)['"]""")


def installed(program: Distribution) -> list[str]:
    """Return the extras of which the libraries are installed.

    Those that are for some machines only do not count, unless an extra has no others.
    """
    wanted: dict[str, list[tuple[str, bool]]] = {}
    own = _normal(program.metadata["Name"])
    for text in program.requires or ():
        requirement, _, marker = text.partition(";")
        extra, name = _EXTRA.search(marker), _NAME.match(requirement.strip())
        if extra and name and _normal(name.group()) != own:
            is_for_all = not _EXTRA.sub("", marker).strip(" ()")
            wanted.setdefault(extra.group(1), []).append((name.group(), is_for_all))
    return sorted(extra for extra, names in wanted.items() if _is_installed(names))


def _is_installed(names: list[tuple[str, bool]]) -> bool:
    for_all = [name for name, is_for_all in names if is_for_all]
    if for_all:
        return all(map(_has, for_all))
    return any(_has(name) for name, _ in names)


def _has(name: str) -> bool:
    try:
        metadata.distribution(name)
    except PackageNotFoundError:
        return False
    return True


def _normal(name: str) -> str:
    # PEP 503.
    return re.sub(r"[-_.]+", "-", name).lower()
