"""Extras that an installed HARVESTER was installed with, as its metadata and libraries show."""

from importlib import metadata
from importlib.metadata import Distribution, PackageNotFoundError

from bus.install import requirement
from bus.install.requirement import canonical_name


def installed(program: Distribution) -> list[str]:
    """Return the extras of which the libraries are installed.

    Those that are for some machines only do not count, unless an extra has no others.
    """
    wanted: dict[str, list[tuple[str, bool]]] = {}
    own = canonical_name(program.metadata["Name"])
    for each in map(requirement.parse, program.requires or ()):
        if each and each.extra and each.name != own:
            wanted.setdefault(each.extra, []).append((each.name, each.is_for_all))
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
