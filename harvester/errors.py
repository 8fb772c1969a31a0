"""Errors and exit code of the command line."""

from bus.errors import BadDataError, MisconfiguredError

# Exit code of a command that was given correctly and failed.
EXIT_FAILED = 1


class BuildError(BadDataError):
    """A plugin does not build; the message holds what the compiler said."""


class ToolMissingError(MisconfiguredError):
    """A program that a command needs is not installed; the message says how to get it."""
