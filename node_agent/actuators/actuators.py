"""Command executor: runs commands from the bus on its own thread and publishes their results."""

import logging
import queue
import threading
from collections.abc import Callable, Mapping
from typing import Self

from bus.contract import commands
from bus.contract.messages import Result
from bus.errors import BadCommandError, HarvesterError
from bus.limited_log import LimitedLog
from node_agent.actuators.buzzer import BuzzerPlayer
from node_agent.actuators.fan import FanControl
from node_agent.actuators.led_buffer import LedBuffer, from_hex
from node_agent.actuators.results import no_actuator, result_of

logger = logging.getLogger(__name__)

# Bound of the command queue; more commands at once are refused.
_MAX_WAITING = 100
_JOIN_S = 1.0
# Anyone allowed may send commands as fast as they like.
_LINES_PER_MINUTE = 20
_REFUSED_KEY = "commands"

# Executes one payload; raises BadCommandError where it cannot.
Execute = Callable[[bytes], None]


def buzzer_command(node: str, buzzer: BuzzerPlayer | None) -> Execute:
    def execute(payload: bytes) -> None:
        if buzzer is None:
            raise BadCommandError(f"{node} has no buzzer: its configuration has no [buzzer]")
        wanted = commands.parse_buzzer(payload)
        buzzer.play(wanted.pattern, wanted.name)

    return execute


def leds_command(leds: LedBuffer) -> Execute:
    def execute(payload: bytes) -> None:
        wanted = commands.parse_leds(payload)
        if wanted.index is None:
            leds.set_all(from_hex(wanted.color))
        else:
            leds.set_one(wanted.index, from_hex(wanted.color))

    return execute


def fan_command(node: str, fan: FanControl | None) -> Execute:
    def execute(payload: bytes) -> None:
        if fan is None:
            raise BadCommandError(f"{node} has no fan: its configuration has no [fan]")
        wanted = commands.parse_fan(payload)
        fan.set_mode(wanted.mode)

    return execute


class Actuators:
    """Executes the commands of `node` in order and passes each result to `publish_result`.

    An actuator without an executor is refused: every command gets a result.
    """

    def __init__(
        self,
        node: str,
        executors: Mapping[str, Execute],
        publish_result: Callable[[str, Result], object],
    ) -> None:
        self._node = node
        self._executors = executors
        self._publish_result = publish_result
        self._log = LimitedLog(logger, _LINES_PER_MINUTE)
        self._waiting: queue.Queue[tuple[str, bytes] | None] = queue.Queue(_MAX_WAITING)
        self._thread = threading.Thread(target=self._run, name="actuators", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._waiting.put(None)
        self._thread.join(_JOIN_S)

    def submit(self, actuator: str, payload: bytes) -> None:
        """Take a command. Never waits, so the bus client's thread may call it."""
        try:
            self._waiting.put_nowait((actuator, payload))
        except queue.Full:
            self._answer(actuator, payload, f"more than {_MAX_WAITING} commands wait already")

    def _run(self) -> None:
        while (command := self._waiting.get()) is not None:
            actuator, payload = command
            self._answer(actuator, payload, self._execute(actuator, payload))

    def _execute(self, actuator: str, payload: bytes) -> str:
        """Execute one command; return its error, empty on success."""
        execute = self._executors.get(actuator)
        if execute is None:
            return no_actuator(self._node, actuator, self._executors)
        try:
            execute(payload)
        except HarvesterError as e:
            return str(e)
        except Exception as e:
            logger.exception("a command for %s failed", actuator)
            return f"the node failed: {e!r}"
        return ""

    def _answer(self, actuator: str, payload: bytes, error: str) -> None:
        if error:
            self._log.warning(_REFUSED_KEY, "%s command refused: %s", actuator, error)
        self._publish_result(actuator, result_of(payload, error))
