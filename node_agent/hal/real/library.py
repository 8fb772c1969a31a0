"""Driver libraries: imported where a device is first used, and named where they are missing."""

import importlib
from typing import Any

from node_agent.hal.errors import HardwareNotInstalledError

INSTALL = "pip install 'harvester-edge[pi]'"


def load(module: str) -> Any:
    """Return the library `module`.

    Raises HardwareNotInstalledError where it is missing, or refuses to run on this machine.
    """
    try:
        return importlib.import_module(module)
    except ImportError as e:
        raise HardwareNotInstalledError(f"the library {module} is missing: {INSTALL}") from e
    except (RuntimeError, NotImplementedError) as e:
        # RPi.GPIO and Blinka's board look at the machine while they are imported.
        raise HardwareNotInstalledError(f"the library {module} does not run here: {e}") from e


def missing_file(path: str, error: OSError, remedy: str) -> HardwareNotInstalledError:
    """Return the error for a device file that can't be opened; `remedy` is what a person can do."""
    return HardwareNotInstalledError(f"{path}: {error.strerror or error}: {remedy}")
