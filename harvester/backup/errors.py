"""Errors of backups."""

from bus.errors import BadDataError, UnavailableError


class BadArchiveError(BadDataError):
    """A file that is no backup, or a damaged, truncated or newer one; nothing was changed."""


class BackupFailedError(UnavailableError):
    """A backup could not be written, or a file of the hub not be read."""
