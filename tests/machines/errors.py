"""Errors of the laboratory."""

from bus.errors import HarvesterError


class LaboratoryError(HarvesterError):
    """This computer cannot run the laboratory, or a machine does not do what it should."""
