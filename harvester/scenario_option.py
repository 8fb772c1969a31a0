"""`--scenario`: a scenario's file, or single keys of one, as overrides of a configuration."""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from bus.errors import MisconfiguredError
from node_agent.hal.simulated.scenario import Scenario

_HELP = (
    "what happens to the simulated chips: a file, or KEY=VALUE for one key{of}; may be given more "
    "than once"
)


class Scenarios(msgspec.Struct, frozen=True):
    """A file, or None, and the `KEY=VALUE` texts that are laid over it."""

    file: Path | None
    values: list[str]

    def overrides(self) -> list[str]:
        """Return the keys of a configuration that play the scenario."""
        file = [f"hardware.scenario={msgspec.json.encode(str(self.file)).decode()}"]
        values = [f"hardware.scenario_values.{text}" for text in self.values]
        return [*(file if self.file is not None else []), *values]


def add(parser: argparse.ArgumentParser, *, of: str, more: str = "") -> None:
    """Add the option; `of` says whose keys, `more` is the rest of its help."""
    parser.add_argument(
        "--scenario",
        action="append",
        default=[],
        metavar="FILE|KEY=VALUE",
        help=_HELP.format(of=of) + more,
    )


def parse(
    texts: Sequence[str], plugin: str, found: Callable[[Path], Path] = Path.resolve
) -> Scenarios:
    """Return what the option's texts mean; a key of no table is one of the plugin's chips.

    `found` turns the name of a file into its path. Raises MisconfiguredError on two files.
    """
    values = [text for text in texts if "=" in text and not Path(text).is_file()]
    files = [text for text in texts if text not in values]
    if len(files) > 1:
        raise MisconfiguredError(f"--scenario: found {', '.join(files)}, expected one file")
    return Scenarios(
        found(Path(files[0])) if files else None,
        [_placed(text, plugin) for text in values],
    )


def _placed(text: str, plugin: str) -> str:
    key = text.partition("=")[0]
    is_of_chip = bool(plugin) and key.partition(".")[0] not in Scenario.__struct_fields__
    return f"chips.{plugin}.{text}" if is_of_chip else text
