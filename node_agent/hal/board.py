"""Opening of a node's hardware, real or simulated; only the chosen kind is imported."""

from bus.config.settings import Config
from node_agent.hal.capabilities import Hardware


def open_hardware(config: Config) -> Hardware:
    """Return the node's hardware; `close` it when done.

    No device is touched before it is first used, so a missing one raises there and not here.
    Raises MisconfiguredError where the scenario of simulated hardware is wrong.
    """
    if config.hardware.driver == "simulated":
        from node_agent.hal.simulated.board import open_simulated  # noqa: PLC0415 - see above

        return open_simulated(config)
    from node_agent.hal.real.board import open_raspberry_pi  # noqa: PLC0415 - see above

    return open_raspberry_pi(config)
