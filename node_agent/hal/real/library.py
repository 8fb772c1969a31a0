"""Driver libraries, imported at the first use of a device; a missing one is named in the error."""

import importlib
from typing import Any

from bus.install.hint import install_extra
from node_agent.hal.errors import HardwareNotInstalledError


def load(module: str) -> Any:
    """Return the library `module`.

    Raises HardwareNotInstalledError where it is missing, or refuses to run on this machine.
    """
    try:
        return importlib.import_module(module)
    except ImportError as e:
        advice = install_extra("pi")
        raise HardwareNotInstalledError(f"the library {module} is missing: {advice}") from e
    except (RuntimeError, NotImplementedError) as e:
        # RPi.GPIO and Blinka's board look at the machine while they are imported.
        raise HardwareNotInstalledError(f"the library {module} does not run here: {e}") from e


def missing_file(path: str, error: OSError, remedy: str) -> HardwareNotInstalledError:
    """Return the error for a device file that can't be opened; `remedy` is what a person can do."""
    return HardwareNotInstalledError(f"{path}: {error.strerror or error}: {remedy}")
