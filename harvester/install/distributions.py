"""Installed distributions that the program consists of, and their copy into another environment."""

import hashlib
import shutil
import sys
from collections.abc import Iterator
from importlib import metadata
from importlib.metadata import Distribution
from pathlib import Path

import msgspec

from bus.errors import MisconfiguredError
from bus.install import assets, requirement
from bus.install.requirement import canonical_name
from bus.install.version import commit

PROGRAM = "harvester-edge"
# Each environment has its own from the beginning; a copy over it would be a mixture of two.
_OF_THE_ENVIRONMENT = frozenset({"pip"})
_SCRIPT_FOLDER = "bin"


class _Archive(msgspec.Struct, frozen=True):
    # `hash` is the older form, "sha256=...", which a pip before 23.1 writes alone.
    hash: str = ""
    hashes: dict[str, str] = {}


class _DirectUrl(msgspec.Struct, frozen=True):
    """File that pip writes beside what came from a path or URL (PEP 610)."""

    archive_info: _Archive = _Archive()


def of_program() -> list[Distribution]:
    """Return the program's distribution and those of all that it may need and is installed.

    Raises MisconfiguredError where the program runs from a clone.
    """
    if not assets.is_packaged():
        raise MisconfiguredError(
            f"{assets.root()}: found a clone, expected an installed wheel; `make wheel` makes it"
        )
    found: dict[str, Distribution] = {}
    names = [PROGRAM]
    while names:
        name = names.pop()
        if name in found or name in _OF_THE_ENVIRONMENT:
            continue
        try:
            found[name] = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            continue
        required = map(requirement.parse, found[name].requires or ())
        names += [each.name for each in required if each is not None]
    return [found[name] for name in sorted(found)]


def is_program(distribution: Distribution) -> bool:
    """Whether this is HARVESTER itself and no library of it."""
    return canonical_name(distribution.metadata["Name"]) == PROGRAM


def identity(distributions: list[Distribution]) -> str:
    """Return a hash of names, versions and our commit: equal environments have the same."""
    words = [f"{canonical_name(d.metadata['Name'])}=={d.version}" for d in distributions]
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    text = "\n".join([python, commit(), *words])
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def wheel_sha256(environment: Path) -> str:
    """Return the hash of the wheel file that pip installed HARVESTER from in an environment.

    Empty where pip noted none, as of what came from an index or a folder.
    """
    folders = [str(path) for path in environment.glob("lib/python3*/site-packages")]
    for distribution in metadata.distributions(name=PROGRAM, path=folders):
        try:
            found = msgspec.json.decode(
                distribution.read_text("direct_url.json") or "{}", type=_DirectUrl
            )
        except msgspec.MsgspecError:
            continue
        archive = found.archive_info
        return archive.hashes.get("sha256", "") or archive.hash.removeprefix("sha256=")
    return ""


def copy(distributions: list[Distribution], site_packages: Path) -> None:
    """Copy every file of the distributions; scripts start the new environment's Python."""
    prefix = site_packages.parents[2]
    for distribution in distributions:
        for source, relative in _files(distribution):
            target = Path(_normal_path(site_packages / relative))
            if not target.is_relative_to(prefix):
                raise MisconfiguredError(f"{source}: found a file outside of its environment")
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)
            shutil.copymode(source, target)
            if target.parent == prefix / _SCRIPT_FOLDER:
                _start_with(target, prefix / _SCRIPT_FOLDER / "python")


def _files(distribution: Distribution) -> Iterator[tuple[Path, str]]:
    if distribution.files is None:
        raise MisconfiguredError(
            f"{distribution.metadata['Name']}: found no list of its files; install it with pip"
        )
    for file in distribution.files:
        source = Path(str(distribution.locate_file(file)))
        # Compiled files are made again; some that are listed were never written.
        if source.suffix != ".pyc" and source.is_file():
            yield source, str(file)


def _start_with(script: Path, python: Path) -> None:
    first, newline, rest = script.read_bytes().partition(b"\n")
    if first.startswith(b"#!") and b"python" in first:
        script.write_bytes(b"#!" + str(python).encode() + newline + rest)


def _normal_path(path: Path) -> str:
    """Return a path without "..", of which the folder need not exist yet."""
    parts: list[str] = []
    for part in path.parts:
        if part == "..":
            parts.pop()
        else:
            parts.append(part)
    return str(Path(*parts))
