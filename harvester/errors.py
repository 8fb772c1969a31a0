"""What can go wrong on the command line."""

from bus.errors import BadDataError, MisconfiguredError

# The exit code of what was asked for rightly and went wrong.
EXIT_FAILED = 1


class BuildError(BadDataError):
    """A plugin does not build; the message holds what the compiler said."""


class ToolMissingError(MisconfiguredError):
    """A program that a command needs is not installed; the message says how to get it."""
