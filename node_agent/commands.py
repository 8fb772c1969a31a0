"""Commands of a node: what executes each, and the words and keys that it tells of."""

from collections.abc import Sequence

from bus.config.settings import Config
from bus.contract import commands
from node_agent.actuators.actuators import (
    Execute,
    buzzer_command,
    fan_command,
    leds_command,
)
from node_agent.actuators.buzzer import BuzzerPlayer
from node_agent.actuators.fan import FanControl
from node_agent.actuators.led_buffer import LedBuffer
from node_agent.actuators.plugin_command import plugin_command
from node_agent.descriptions.node import NodeDescriptions
from node_agent.descriptions.update import MachineUpdate
from node_agent.plugins.disabled import DisabledPlugins
from node_agent.plugins.runner import PluginRunner


def actuator_words(config: Config) -> dict[str, list[str]]:
    """Return the actuators that a node has, with the words and keys of their commands."""
    has = {
        "buzzer": config.buzzer is not None,
        "fan": config.fan is not None,
        "leds": config.leds.count > 0,
    }
    return {name: words for name, words in commands.WORDS.items() if has.get(name, True)}


def executors(  # noqa: PLR0913 - one for each part that commands are for
    node: str,
    *,
    buzzer: BuzzerPlayer | None,
    fan: FanControl | None,
    leds: LedBuffer,
    descriptions: NodeDescriptions,
    runners: Sequence[PluginRunner],
    disabled: DisabledPlugins,
    update: MachineUpdate,
) -> dict[str, Execute]:
    """Return what executes the commands, by actuator."""
    return {
        "buzzer": buzzer_command(node, buzzer),
        "fan": fan_command(node, fan),
        "leds": leds_command(leds),
        "names": descriptions.name_command,
        "plugins": plugin_command(runners, disabled, descriptions.settings_changed),
        "update": update.command,
    }
