"""Plugins that a command has disabled, in a file, so that the command outlives a restart."""

import logging
import threading
from pathlib import Path

from bus.files import json_file

logger = logging.getLogger(__name__)


class DisabledPlugins:
    """The names of the disabled plugins, in the file at `path`. Any thread may call."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        found = json_file.load(path, frozenset[str], "every plugin is enabled")
        self._names: frozenset[str] = found or frozenset()

    def __contains__(self, name: str) -> bool:
        return name in self._names

    def note(self, name: str, *, is_disabled: bool) -> None:
        """Note a command. Where the disk refuses, it is carried out, and lost at a restart."""
        with self._lock:
            if is_disabled == (name in self._names):
                return
            names = self._names | {name} if is_disabled else self._names - {name}
            self._names = names
            try:
                json_file.save(self._path, sorted(names))
            except OSError as e:
                logger.warning("%s: %s; the command is lost at a restart", self._path, e)
