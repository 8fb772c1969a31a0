"""Commands to the light service, which has no actuators: others than its own are refused."""

import logging
from collections.abc import Callable, Mapping

from bus.contract.messages import Result
from bus.contract.topics import Topic, TopicKind
from bus.errors import HarvesterError
from bus.limited_log import LimitedLog
from node_agent.actuators.results import no_actuator, result_of

logger = logging.getLogger(__name__)

_LINES_PER_MINUTE = 20

Execute = Callable[[bytes], None]


class Commands:
    """Answers each command of `node`; `publish_result(actuator, result)` gets the result.

    `executors` execute the commands of its names and settings.
    """

    def __init__(
        self,
        node: str,
        executors: Mapping[str, Execute],
        publish_result: Callable[[str, Result], object],
    ) -> None:
        self._node = node
        self._executors = dict(executors)
        self._publish_result = publish_result
        self._log = LimitedLog(logger, _LINES_PER_MINUTE)

    # The bus client's thread runs this. These are rare, and their small files are written at once.
    def handle(self, topic: Topic, payload: bytes) -> None:
        if topic.kind is not TopicKind.COMMAND:
            return
        error = self._execute(topic.name, payload)
        if error:
            self._log.warning("commands", "%s command refused: %s", topic.name, error)
        self._publish_result(topic.name, result_of(payload, error))

    def _execute(self, actuator: str, payload: bytes) -> str:
        """Execute a command; return its error, empty on success."""
        execute = self._executors.get(actuator)
        if execute is None:
            return no_actuator(self._node, actuator, ())
        try:
            execute(payload)
        except HarvesterError as e:
            return str(e)
        return ""
