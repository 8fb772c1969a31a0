"""The error tree, sorted by who must act. It knows nothing of any device or protocol."""


class HarvesterError(Exception):
    """The root of every error that this system raises."""


class BadDataError(HarvesterError):
    """Something arrived that is not what was agreed: drop it and log."""


class UnavailableError(HarvesterError):
    """Something does not answer right now: retry later."""


class MisconfiguredError(HarvesterError):
    """A person must change a file or a machine: stop with exit code 2."""


class BadTopicError(BadDataError):
    """A topic that is none of ours."""


class BadPayloadError(BadDataError):
    """A payload that does not decode as its topic's message."""


class BadCommandError(BadDataError):
    """A command that cannot be carried out; the message is the result's `error`."""
