"""Commands that the page gives: published with an id, answered by the result that carries it."""

import asyncio
import secrets
from collections.abc import Callable

import msgspec

from bus.contract.messages import Message, Result
from bus.contract.topics import Topic, TopicKind
from bus.errors import BadCommandError, UnavailableError

ANSWER_S = 2.0

Publish = Callable[[Topic, bytes], int | None]


class BusDownError(UnavailableError):
    """The hub has no connection to its broker, so nothing can be commanded."""


class NoAnswerError(UnavailableError):
    """The command went out and no result came back in time."""


class Commander:
    """Gives commands and waits for their results, on the event loop."""

    def __init__(self, publish: Publish) -> None:
        self._publish = publish
        self._waiting: dict[str, asyncio.Future[Result]] = {}

    async def sound(self, node: str, pattern: str) -> Result:
        """Sound a named pattern on a node's buzzer and return what the node answered.

        Raises BusDownError, NoAnswerError, or BadCommandError with the node's own words.
        """
        return await self._ask(Topic(node, TopicKind.COMMAND, "buzzer"), {"pattern": pattern})

    async def plugin(self, node: str, plugin: str, action: str) -> Result:
        """Reload, enable or disable a plugin of a node; raises as `sound` does."""
        topic = Topic(node, TopicKind.COMMAND, "plugins")
        return await self._ask(topic, {"plugin": plugin, "action": action})

    def settle(self, message: Message) -> None:
        """Hand a result to whoever waits for it."""
        if isinstance(message, Result) and message.id is not None:
            waiting = self._waiting.get(message.id)
            if waiting is not None and not waiting.done():
                waiting.set_result(message)

    async def _ask(self, topic: Topic, fields: dict[str, str]) -> Result:
        command_id = secrets.token_hex(8)
        answer: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._waiting[command_id] = answer
        try:
            payload = msgspec.json.encode({**fields, "id": command_id})
            if self._publish(topic, payload) is None:
                raise BusDownError("the hub has no connection to its broker")
            result = await asyncio.wait_for(answer, ANSWER_S)
        except TimeoutError as e:
            raise NoAnswerError(f"{topic.node} did not answer within {ANSWER_S:g} s") from e
        finally:
            del self._waiting[command_id]
        if not result.ok:
            raise BadCommandError(result.error)
        return result
