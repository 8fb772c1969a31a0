"""Commands to nodes: published with an id, and completed by the `result` with that id."""

import asyncio
import secrets
from collections.abc import Callable, Mapping

import msgspec

from bus.contract.messages import Result
from bus.contract.topics import Topic, TopicKind
from bus.errors import BadCommandError, UnavailableError

RESULT_TIMEOUT_S = 2.0

# Returns the packet id, or None where there is no connection.
Publish = Callable[[Topic, bytes], int | None]


class BusDownError(UnavailableError):
    """The hub has no connection to its broker, so it cannot publish a command."""


class NoAnswerError(UnavailableError):
    """The command was published, and no result arrived in time."""


class Commander:
    """Publishes commands and waits for their results, on the event loop."""

    def __init__(self, publish: Publish) -> None:
        self._publish = publish
        self._waiting: dict[str, asyncio.Future[Result]] = {}

    async def command(self, node: str, actuator: str, fields: Mapping[str, object]) -> Result:
        """Command an actuator of a node and return the result.

        Raises BusDownError, NoAnswerError, or BadCommandError with the node's error.
        """
        topic = Topic(node, TopicKind.COMMAND, actuator)
        command_id = secrets.token_hex(8)
        future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._waiting[command_id] = future
        try:
            payload = msgspec.json.encode({**fields, "id": command_id})
            if self._publish(topic, payload) is None:
                raise BusDownError("the hub has no connection to its broker")
            result = await asyncio.wait_for(future, RESULT_TIMEOUT_S)
        except TimeoutError as e:
            raise NoAnswerError(f"{node} did not answer within {RESULT_TIMEOUT_S:g} s") from e
        finally:
            del self._waiting[command_id]
        if not result.ok:
            raise BadCommandError(result.error)
        return result

    def on_result(self, result: Result) -> None:
        """Complete the command that a result belongs to."""
        waiting = self._waiting.get(result.id or "")
        if waiting is not None and not waiting.done():
            waiting.set_result(result)
