"""`harvester init`: writes the three configurations and the systemd units for editing."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from bus.errors import MisconfiguredError
from bus.install import assets

NAMES = ("hub.toml", "spoke.toml", "pizero.toml")
_UNITS = ("*.service", "*.timer")


def define(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.description = "Write hub.toml, spoke.toml and pizero.toml, each key with a comment."
    parser.add_argument(
        "directory",
        type=Path,
        metavar="DIR",
        help="folder to write to, for example config or /etc/harvester; made where it is missing",
    )
    parser.add_argument(
        "--units",
        type=Path,
        metavar="DIR",
        help="also write the systemd units, to this folder, for example /etc/systemd/system",
    )
    parser.add_argument("--force", action="store_true", help="replace files that are there")
    parser.set_defaults(run=_init)


def _init(options: argparse.Namespace) -> None:
    shipped = assets.root()
    wanted = _targets([shipped / "config" / name for name in NAMES], options.directory)
    if options.units is not None:
        units = [unit for kind in _UNITS for unit in sorted((shipped / "deploy").glob(kind))]
        wanted |= _targets(units, options.units)
    for path in write_copies(wanted, force=options.force):
        print(f"wrote {path}")


def _targets(sources: Sequence[Path], directory: Path) -> dict[Path, Path]:
    return {directory / source.name: source for source in sources}


def write_copies(wanted: dict[Path, Path], *, force: bool) -> list[Path]:
    """Copy each file to its key, and return the keys.

    Raises MisconfiguredError, before anything is written, where a file is there and `force` is
    false, and where a file cannot be written.
    """
    taken = [str(path) for path in wanted if path.exists()]
    if taken and not force:
        raise MisconfiguredError(f"found {', '.join(taken)}; use --force to replace what is there")
    for path, source in wanted.items():
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(source.read_bytes())
        except OSError as e:
            raise MisconfiguredError(f"{path}: {e.strerror}; expected a folder to write to") from e
    return list(wanted)
