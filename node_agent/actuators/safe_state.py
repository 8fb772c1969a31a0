"""Safe state of relays and granted outputs at a node's start: until then their pins float."""

import logging
from collections.abc import Iterable

from bus.config.settings import Config, enabled_outputs
from bus.errors import HarvesterError
from node_agent.hal.capabilities import Hardware, Relay

logger = logging.getLogger(__name__)


def release_relays(hardware: Hardware, relays: Iterable[Relay]) -> None:
    """Drive every relay that the node has to its released level."""
    for relay in relays:
        try:
            hardware.set_relay(relay, on=False)
        except HarvesterError as e:
            logger.error("%s relay: %s", relay.value, e)  # noqa: TRY400 - says it all


def make_outputs_safe(hardware: Hardware, config: Config) -> None:
    """Drive every granted output to its safe level."""
    for output in enabled_outputs(config):
        level = output.is_safe_high
        try:
            hardware.gpio.drive(output.pin, high=level, safe_high=level)
        except HarvesterError as e:
            logger.error("%s", e)  # noqa: TRY400 - says it all
