"""Optional dependencies: loads a program's module, or says which extra it lacks."""

import importlib
import sys
from types import ModuleType

from bus.config.command_line import EXIT_MISCONFIGURED
from bus.errors import MisconfiguredError
from bus.install.hint import install_extra

_OURS = ("bus", "broker", "harvester", "hub_app", "node_agent", "pizero_native", "plugins")


def load(module: str, program: str, extra: str) -> ModuleType:
    """Return the module. Raises MisconfiguredError where a package of `extra` is not installed."""
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as e:
        if e.name is None or e.name.partition(".")[0] in _OURS:
            raise
        raise MisconfiguredError(
            f"{program}: the package {e.name} is not installed; run: {install_extra(extra)}"
        ) from e


def run(module: str, program: str, extra: str) -> None:
    """Run the module's `main`. Exits with 2 and one line where its extra is not installed."""
    try:
        main = load(module, program, extra).main
    except MisconfiguredError as e:
        print(e, file=sys.stderr)  # noqa: T201 - one line for the person who started it
        sys.exit(EXIT_MISCONFIGURED)
    main()
