"""A Raspberry Pi's hardware, wired up as the configuration says."""

from broker.settings import Config
from node_agent.hal.devices import Board


def open_raspberry_pi(config: Config) -> Board:
    raise NotImplementedError(config)
