"""What can go wrong with hardware. Above this layer nobody knows `errno`."""

from bus.errors import BadDataError, MisconfiguredError, UnavailableError


class DeviceUnavailableError(UnavailableError):
    """The device did not answer, or not in time; the message names it with bus and address."""


class BadDeviceDataError(BadDataError):
    """The device answered with something that it can't have meant: a checksum, a range, an id."""


class HardwareNotInstalledError(MisconfiguredError):
    """A driver library or a device file that the configuration asks for is missing."""
