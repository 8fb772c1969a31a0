"""Commands to the light service: it takes names, has no actuators, and refuses all else."""

import logging
from collections.abc import Callable

from bus.contract.messages import Result
from bus.contract.topics import Topic, TopicKind
from bus.errors import HarvesterError
from bus.limited_log import LimitedLog
from node_agent.actuators.results import no_actuator, result_of

logger = logging.getLogger(__name__)

_LINES_PER_MINUTE = 20
_NAMES = "names"


class Commands:
    """Answers each command of `node`; `publish_result(actuator, result)` gets the result.

    `give_name` executes a command for names.
    """

    def __init__(
        self,
        node: str,
        give_name: Callable[[bytes], None],
        publish_result: Callable[[str, Result], object],
    ) -> None:
        self._node = node
        self._give_name = give_name
        self._publish_result = publish_result
        self._log = LimitedLog(logger, _LINES_PER_MINUTE)

    # The bus client's thread runs this. A name is rare, and its small file is written at once.
    def handle(self, topic: Topic, payload: bytes) -> None:
        if topic.kind is not TopicKind.COMMAND:
            return
        error = self._execute(topic.name, payload)
        if error:
            self._log.warning("commands", "%s command refused: %s", topic.name, error)
        self._publish_result(topic.name, result_of(payload, error))

    def _execute(self, actuator: str, payload: bytes) -> str:
        """Execute a command; return its error, empty on success."""
        if actuator != _NAMES:
            return no_actuator(self._node, actuator, ())
        try:
            self._give_name(payload)
        except HarvesterError as e:
            return str(e)
        return ""
