"""Errors of the hardware layer. Code above it never sees `errno`."""

from bus.errors import BadDataError, MisconfiguredError, UnavailableError


class DeviceUnavailableError(UnavailableError):
    """The device did not answer, or not in time; the message names it with bus and address."""


class BadDeviceDataError(BadDataError):
    """The device's answer is invalid: its checksum, a range or an id."""


class HardwareNotInstalledError(MisconfiguredError):
    """A driver library or a device file that the configuration asks for is missing."""
