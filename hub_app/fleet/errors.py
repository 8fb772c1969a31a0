"""Errors of the fleet's database."""

from bus.errors import MisconfiguredError, UnavailableError


class FleetUnavailableError(UnavailableError):
    """The database does not answer, or refused what it was asked; it is tried again."""


class NewerSchemaError(FleetUnavailableError):
    """The tables were made by a newer version of this program."""


class SiteInUseError(FleetUnavailableError):
    """Another hub forwards under the name of this site."""


class SiteNameError(FleetUnavailableError):
    """The readings of this hub are stored under the name of another site."""


class EncodingError(FleetUnavailableError):
    """The database cannot store every text."""


class ReplacedTablesError(FleetUnavailableError):
    """The tables are others than those that were there at the connection: restored from a dump."""


class NoDriverError(MisconfiguredError):
    """The package psycopg is not installed."""
