"""Outputs that a plugin owns by its grants; they go dark when it is disabled."""

import logging

from bus.config.settings import Grant
from bus.errors import HarvesterError
from node_agent.hal.capabilities import BLACK
from node_agent.plugins.wit_imports import NodeParts

logger = logging.getLogger(__name__)

# SSD1306 datasheet rev 1.1, section 9: control byte for commands, then Set Display OFF.
_DISPLAY_OFF = bytes([0x00, 0xAE])


def darken(plugin: str, grant: Grant, parts: NodeParts) -> None:
    """Switch off the LEDs, the buzzer, the fan and the displays that were granted to a plugin."""
    parts.leds.set_many(grant.leds, BLACK)
    if grant.buzzer and parts.buzzer is not None:
        parts.buzzer.cancel(plugin)
    try:
        if grant.fan and parts.fan is not None:
            parts.fan.demand(on=False)
        granted = {int(address, 16) for address in grant.i2c}
        for address in granted.intersection(int(text, 16) for text in parts.display_addresses):
            _switch_off(address, parts)
    except HarvesterError as e:
        logger.warning("plugin %s: its outputs do not go dark: %s", plugin, e)


def _switch_off(address: int, parts: NodeParts) -> None:
    bus = parts.display or parts.hardware
    bus.i2c_transfer(address, _DISPLAY_OFF, 0)
