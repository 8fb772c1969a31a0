"""Scenario file: TOML, with one clear line where it is wrong."""

from pathlib import Path

import msgspec

from bus.config import toml_text
from bus.contract.mistake import first_mistake
from bus.errors import MisconfiguredError
from node_agent.hal.simulated.scenario import Scenario


def load(path: str) -> Scenario:
    """Return the scenario of the TOML file `path`; where that is empty, the default one.

    Raises MisconfiguredError with the file, the key, what was found and what is expected.
    """
    if not path:
        return Scenario()
    try:
        tables = toml_text.parse(Path(path).read_bytes())
    except OSError as e:
        raise MisconfiguredError(f"{path}: {e.strerror}; expected a readable scenario") from e
    except (ValueError, RecursionError) as e:
        raise MisconfiguredError(f"{path}: found no valid TOML: {e}") from e
    try:
        return msgspec.convert(tables, Scenario)
    except msgspec.ValidationError as e:
        raise MisconfiguredError(f"{path}: {first_mistake(tables, Scenario) or e}") from e
