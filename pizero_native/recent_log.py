"""Recent log: the newest lines of this process in memory, for HTTP."""

import logging
import threading
from collections import deque
from collections.abc import Sequence
from typing import Self

from bus.client.node_log import NodeLog
from bus.contract.messages import Log

# 500 lines of 100 characters are 0.1 MB.
MAX_LINES = 500


class RecentLog:
    """Keeps what is logged from entering to leaving its context. Any thread may ask."""

    def __init__(self) -> None:
        self._lines: deque[Log] = deque(maxlen=MAX_LINES)
        self._lock = threading.Lock()
        self._handler = NodeLog(self._keep)

    def __enter__(self) -> Self:
        logging.getLogger().addHandler(self._handler)
        return self

    def __exit__(self, *_: object) -> None:
        logging.getLogger().removeHandler(self._handler)

    def newest(self, limit: int) -> Sequence[Log]:
        """Return at most `limit` lines, the oldest of them first."""
        with self._lock:
            return list(self._lines)[-limit:]

    def _keep(self, line: Log) -> bool:
        with self._lock:
            self._lines.append(line)
        return True
