"""Command executor: runs commands from the bus on its own thread and publishes their results."""

import logging
import queue
import threading
from collections.abc import Callable, Mapping
from typing import Self

from bus.clock import now_ms
from bus.contract import commands
from bus.contract.messages import Result
from bus.errors import BadCommandError, HarvesterError
from node_agent.actuators.buzzer import BuzzerPlayer
from node_agent.actuators.fan import FanControl
from node_agent.actuators.led_buffer import LedBuffer, from_hex

logger = logging.getLogger(__name__)

# Bound of the command queue; more commands at once are refused.
_MAX_WAITING = 100
_JOIN_S = 1.0

# Executes one payload; raises BadCommandError where it cannot.
Execute = Callable[[bytes], None]


def buzzer_command(buzzer: BuzzerPlayer | None) -> Execute:
    def execute(payload: bytes) -> None:
        wanted = commands.parse_buzzer(payload)
        if buzzer is None:
            raise BadCommandError("this node has no buzzer: its configuration has no [buzzer]")
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


def fan_command(fan: FanControl | None) -> Execute:
    def execute(payload: bytes) -> None:
        wanted = commands.parse_fan(payload)
        if fan is None:
            raise BadCommandError("this node has no fan: its configuration has no [fan]")
        fan.set_mode(wanted.mode)

    return execute


class Actuators:
    """Executes commands in order; `publish_result(actuator, result)` gets each result."""

    def __init__(
        self,
        executors: Mapping[str, Execute],
        publish_result: Callable[[str, Result], object],
    ) -> None:
        self._executors = executors
        self._publish_result = publish_result
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
            return f"this node has no {actuator}"
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
            logger.warning("%s command refused: %s", actuator, error)
        result = Result(commands.command_id(payload), not error, error, now_ms())
        self._publish_result(actuator, result)
