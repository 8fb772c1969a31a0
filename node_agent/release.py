"""`node-agent-release`: puts a node's actuators into their safe state after its agent has ended.

An agent that stops does this itself; one that was killed cannot, and a relay stays as it was. So
the service runs this program whenever the agent has ended. It is quick, and imports neither the
MQTT client nor the plugin host, so that it does not fail for the agent's reason.
"""

import logging
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial

from bus.config import command_line
from bus.config.grant_table import Output
from bus.config.settings import Config, enabled_outputs
from bus.errors import HarvesterError, MisconfiguredError
from node_agent.hal.board import open_hardware
from node_agent.hal.capabilities import BLACK, Hardware, Relay

logger = logging.getLogger(__name__)

EXIT_FAILED = 1


def main(arguments: Sequence[str] | None = None) -> None:
    """Exit with 0 where all is released, 1 where something is not, 2 where misconfigured."""
    config = command_line.load_node(
        "node-agent-release",
        "Release every relay and darken the LED strip, after the agent has ended.",
        arguments,
    )
    try:
        released = release(config)
    except MisconfiguredError as e:
        logger.error("%s", e)  # noqa: TRY400 - for a person to correct; a traceback adds nothing
        sys.exit(command_line.EXIT_MISCONFIGURED)
    sys.exit(0 if released else EXIT_FAILED)


def release(config: Config) -> bool:
    """Release each part, even where another fails, and log that; return whether all went well.

    Raises MisconfiguredError where the hardware cannot be opened at all.
    """
    hardware = open_hardware(config)
    results = [_done(name, act) for name, act in _actions(config, hardware)]
    results.append(_done("hardware", hardware.close))
    return all(results)


def _actions(config: Config, hardware: Hardware) -> Iterator[tuple[str, Callable[[], None]]]:
    """Yield the actions; relays and outputs first, before a strip that could be slow or fail."""
    if config.buzzer is not None:
        yield "buzzer relay", lambda: hardware.set_relay(Relay.BUZZER, on=False)
    if config.fan is not None:
        yield "fan relay", lambda: hardware.set_relay(Relay.FAN, on=False)
    for output in enabled_outputs(config):
        yield f"gpio{output.pin}", partial(_make_safe, hardware, output)
    if config.leds.count:
        yield "LED strip", lambda: hardware.show_pixels([BLACK] * config.leds.count)


def _make_safe(hardware: Hardware, output: Output) -> None:
    level = output.is_safe_high
    hardware.gpio.drive(output.pin, high=level, safe_high=level)


def _done(name: str, act: Callable[[], None]) -> bool:
    try:
        act()
    except HarvesterError as e:
        logger.error("%s: %s", name, e)  # noqa: TRY400 - the sentence says it all
        return False
    return True


if __name__ == "__main__":
    main()
