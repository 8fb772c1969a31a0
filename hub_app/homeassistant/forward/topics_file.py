"""File of the topics that Home Assistant's broker may have retained from this hub.

What was removed while the hub was off is emptied there with its help at the next start.
"""

from collections.abc import Sequence
from pathlib import Path

import msgspec

from bus.config.homeassistant_table import HomeAssistantConfig
from bus.fault import Fault
from bus.files import json_file

FILE_NAME = "forwarded.json"


class ForwardedTopics(msgspec.Struct, frozen=True):
    """Content of the file: the topics on the broker of that URL."""

    broker: str
    topics: Sequence[str] = ()


class TopicsFile:
    """The file at `path` for the broker of one URL; None keeps no file."""

    def __init__(self, path: Path | None, broker: str) -> None:
        self._path = path
        self._broker = broker
        self._fault = Fault(f"{path}: saving")

    def load(self) -> Sequence[str]:
        """Return the topics; none where they are of another broker."""
        if self._path is None:
            return ()
        lost = "topics that were removed meanwhile stay on Home Assistant's broker"
        found = json_file.load(self._path, ForwardedTopics, lost)
        return found.topics if found is not None and found.broker == self._broker else ()

    def save(self, topics: Sequence[str]) -> None:
        """Replace the file; a disk that refuses is logged once."""
        if self._path is None:
            return
        try:
            json_file.save(self._path, ForwardedTopics(self._broker, topics))
        except OSError as e:
            self._fault.failed(str(e))
        else:
            self._fault.worked()


def leftovers(topics: Sequence[str], settings: HomeAssistantConfig) -> list[str]:
    """Return the topics of an earlier run for which nobody else cares.

    The publisher of discovery hears its own: it removes no entity that is only late.
    """
    is_left_to_publisher = settings.discovery
    own = f"{settings.prefix}/"
    return [t for t in topics if not (is_left_to_publisher and t.startswith(own))]
