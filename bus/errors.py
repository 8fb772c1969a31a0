"""Root of all errors, and the three kinds that say who must act."""


class HarvesterError(Exception):
    """The root of every error that this system raises."""


class BadDataError(HarvesterError):
    """Data that arrived is invalid: drop it and log."""


class UnavailableError(HarvesterError):
    """Something does not answer right now: retry later."""


class MisconfiguredError(HarvesterError):
    """A person must change a file or a machine: stop with exit code 2."""


class BadTopicError(BadDataError):
    """A topic that is not part of the contract."""


class BadPayloadError(BadDataError):
    """A payload that does not decode as its topic's message."""


class BadCommandError(BadDataError):
    """A command that cannot be executed; the message is the result's `error`."""
