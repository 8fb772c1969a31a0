"""Which amqtt this broker stands on."""

from importlib.metadata import version

from bus.errors import MisconfiguredError

# The subclasses reach into its internals, and each of its faults is tested for.
AMQTT_VERSION = "0.12.1"


def require_amqtt(found: str | None = None) -> None:
    """Raise MisconfiguredError where amqtt is another version than the one that was hardened."""
    found = found or version("amqtt")
    if found != AMQTT_VERSION:
        raise MisconfiguredError(
            f"amqtt: found version {found}, expected {AMQTT_VERSION}; "
            f"run `pip install amqtt=={AMQTT_VERSION}`"
        )
