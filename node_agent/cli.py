"""`node-agent`: run one node."""

import contextlib
import logging
import os
import signal
import sys
from collections.abc import Sequence
from types import FrameType

from bus.config import command_line, directories
from bus.config.settings import Config
from bus.errors import MisconfiguredError
from bus.service_manager import ServiceManager, stop_signals
from node_agent.agent import Agent
from node_agent.hal.board import open_hardware
from node_agent.sandbox.limits import Limits, limits_of
from node_agent.sandbox.runtime import Runtime

logger = logging.getLogger(__name__)


def main(arguments: Sequence[str] | None = None) -> None:
    config = command_line.load_node(
        "node-agent",
        "Read sensors through sandboxed plugins and drive actuators from the bus.",
        arguments,
    )
    try:
        _run(config)
    except MisconfiguredError as e:
        logger.error("%s", e)  # noqa: TRY400 - for a person to correct; a traceback adds nothing
        sys.exit(command_line.EXIT_MISCONFIGURED)


def _run(config: Config) -> None:
    plugins = config.plugins
    with (
        contextlib.closing(open_hardware(config)) as hardware,
        Runtime(
            directories.cache_dir(config, os.environ),
            Limits(plugins.poll_deadline_s, plugins.memory_mb),
            limits_of=lambda name: limits_of(plugins, name),
            target=plugins.target,
        ) as runtime,
    ):
        state_dir = directories.state_dir(config, os.environ)
        agent = Agent(config, hardware, runtime, state_dir, ServiceManager(os.environ))

        def stop(_signal: int, _frame: FrameType | None) -> None:
            agent.stop()

        for number in stop_signals():
            signal.signal(number, stop)
        logger.info("node %s starts", config.cluster.node_id)
        agent.run()
    logger.info("node %s stopped", config.cluster.node_id)


if __name__ == "__main__":
    main()
