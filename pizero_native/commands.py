"""Commands to the light service: it has no actuators, and answers every command with a refusal."""

import logging
from collections.abc import Callable

from bus.contract.messages import Result
from bus.contract.topics import Topic, TopicKind
from bus.limited_log import LimitedLog
from node_agent.actuators.results import no_actuator, result_of

logger = logging.getLogger(__name__)

_LINES_PER_MINUTE = 20


class CommandRefusal:
    """Answers each command of `node`; `publish_result(actuator, result)` gets the result."""

    def __init__(self, node: str, publish_result: Callable[[str, Result], object]) -> None:
        self._node = node
        self._publish_result = publish_result
        self._log = LimitedLog(logger, _LINES_PER_MINUTE)

    # The bus client's thread runs this.
    def handle(self, topic: Topic, payload: bytes) -> None:
        if topic.kind is not TopicKind.COMMAND:
            return
        error = no_actuator(self._node, topic.name, ())
        self._log.warning("commands", "%s command refused: %s", topic.name, error)
        self._publish_result(topic.name, result_of(payload, error))
