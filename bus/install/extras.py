"""Optional dependencies: loads a program's module, or says which extra it lacks."""

import importlib
import platform
import sys
from types import ModuleType

from bus.config.command_line import EXIT_MISCONFIGURED
from bus.errors import MisconfiguredError
from bus.install.hint import install_extra

# The library that runs plugins; there is none of it for 32-bit systems.
_SANDBOX = "wasmtime"
_OURS = ("bus", "broker", "harvester", "hub_app", "node_agent", "pizero_native", "plugins")


def load(module: str, program: str, extra: str) -> ModuleType:
    """Return the module.

    Raises MisconfiguredError where a package of `extra` is not installed, or does not run here.
    """
    try:
        return importlib.import_module(module)
    except (RuntimeError, OSError) as e:
        if _SANDBOX not in str(e):
            raise
        raise MisconfiguredError(_needs_64_bits(program)) from e
    except ModuleNotFoundError as e:
        if e.name == _SANDBOX and not _is_64_bit():
            raise MisconfiguredError(_needs_64_bits(program)) from e
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


def _is_64_bit() -> bool:
    # The word size of this Python: a 64-bit kernel may run 32-bit programs.
    return sys.maxsize > 2**32


def _needs_64_bits(program: str) -> str:
    bits = 64 if _is_64_bit() else 32
    return (
        f"{program}: needs a 64-bit operating system for x86-64 or ARM (aarch64); "
        f"found a {bits}-bit one on {platform.machine()}"
    )
