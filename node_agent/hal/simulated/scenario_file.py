"""Reading a scenario: its TOML, one clear line where it is wrong."""

import re
import tomllib
from pathlib import Path

import msgspec

from broker.errors import MisconfiguredError
from node_agent.hal.simulated.scenario import Scenario

_PLACE = re.compile(r" - at `\$\.?([^`]*)`$")


def load(path: str) -> Scenario:
    """Return the scenario of the TOML file `path`; where that is empty, the default one.

    Raises MisconfiguredError with the file, the key, what was found and what is expected.
    """
    if not path:
        return Scenario()
    try:
        tables = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as e:
        raise MisconfiguredError(f"{path}: {e.strerror}; expected a readable scenario") from e
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as e:
        raise MisconfiguredError(f"{path}: found no valid TOML: {e}") from e
    try:
        return msgspec.convert(tables, Scenario)
    except msgspec.ValidationError as e:
        raise MisconfiguredError(f"{path}: {_explain(str(e))}") from e


def _explain(message: str) -> str:
    """Put the place first: `room.temperature_c: Expected ..., got ...`."""
    place = _PLACE.search(message)
    return f"{place.group(1)}: {message[: place.start()]}" if place else message
