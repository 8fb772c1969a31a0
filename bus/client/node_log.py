"""Log handler that publishes records on the node's log topic."""

import logging
import threading
from collections import deque
from collections.abc import Callable

from bus.clock import now_ms
from bus.contract.bounds import MAX_LOG_CHARS
from bus.contract.messages import Log, LogLevel

# While the link is down the newest lines are kept, and sent when it is back.
_MAX_WAITING = 200

_PLUGIN_LOGGER = "plugin"
_MAX_PLUGIN_CHARS = 64

_LEVELS: list[tuple[int, LogLevel]] = [
    (logging.ERROR, "error"),
    (logging.WARNING, "warning"),
    (logging.INFO, "info"),
]


class NodeLog(logging.Handler):
    """Passes every log record to `publish`, which returns whether the message was sent."""

    def __init__(self, publish: Callable[[Log], bool]) -> None:
        super().__init__()
        self._publish = publish
        self._waiting: deque[Log] = deque(maxlen=_MAX_WAITING)
        self._order = threading.Lock()

    def emit(self, record: logging.LogRecord) -> None:
        message = record.getMessage()
        if record.exc_info and record.exc_info[1] is not None:
            message = f"{message}: {record.exc_info[1]!r}"
        level, source = _level(record.levelno), _source(record.name)
        line = Log(now_ms(), level, source, message[:MAX_LOG_CHARS])
        with self._order:
            if self._waiting or not self._publish(line):
                self._waiting.append(line)

    def send_waiting(self) -> None:
        """Send the lines that were logged while the link was down."""
        with self._order:
            while self._waiting and self._publish(self._waiting[0]):
                self._waiting.popleft()


def plugin_logger(plugin: str) -> logging.Logger:
    """Return the logger whose records are published as `plugin`'s own lines."""
    return logging.getLogger(f"{_PLUGIN_LOGGER}.{plugin}")


def _source(logger_name: str) -> str:
    parent, _, plugin = logger_name.partition(".")
    plugin = plugin[:_MAX_PLUGIN_CHARS]
    return f"plugin:{plugin}" if parent == _PLUGIN_LOGGER and plugin else "host"


def _level(number: int) -> LogLevel:
    return next((name for least, name in _LEVELS if number >= least), "debug")
