"""Results of commands, and the sentence that refuses one for an absent actuator."""

from collections.abc import Iterable

from bus.clock import now_ms
from bus.contract import commands
from bus.contract.messages import Result


def no_actuator(node: str, actuator: str, present: Iterable[str]) -> str:
    """Return the sentence that refuses a command for an actuator that a node does not have."""
    there = ", ".join(present)
    return f"{node} has no {actuator}" + (f": expected one of {there}" if there else "")


def result_of(payload: bytes, error: str) -> Result:
    """Return the result of the command that `payload` holds; `error` is empty on success."""
    return Result(commands.command_id(payload), not error, error, now_ms())
