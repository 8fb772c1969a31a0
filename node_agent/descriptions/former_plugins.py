"""Plugins that a node ran formerly and that are no longer enabled: their state topics are cleared.

Otherwise a retained state would show them as running for ever. The names of the enabled plugins are
kept in a file, in which a plugin that is gone stays until its topic was cleared.
"""

from collections.abc import Callable, Iterable
from pathlib import Path

from bus.contract.bounds import Name
from bus.files import json_file
from bus.files.json_file import SavedOnChange

_TOPICS_LEFT = "states of former plugins may be left"

# Clears the state topic of a plugin; returns whether that was sent.
Clear = Callable[[str], bool]


class FormerPlugins:
    """The former plugins of a node that has `enabled` ones. Any thread may call."""

    def __init__(self, enabled: Iterable[str], path: Path, clear: Clear) -> None:
        # A reading that no plugin took, a ping for example, has a plugin without a name.
        self._enabled = frozenset(name for name in enabled if name)
        self._clear = clear
        kept = json_file.load(path, frozenset[Name], _TOPICS_LEFT) or frozenset()
        self._gone = kept - self._enabled
        self._uncleared = self._gone
        self._file = SavedOnChange(path, is_saved=kept == self._enabled)

    def clear_all(self) -> None:
        """Clear the topics of all that are gone: after a connection, to a broker that has them."""
        cleared = {name for name in sorted(self._gone) if self._clear(name)}
        if cleared & self._uncleared:
            self._uncleared -= cleared
            self._file.changed()

    def save(self) -> None:
        """Write the names to the disk where they changed; a disk that refuses is logged once."""
        self._file.save(lambda: sorted(self._enabled | self._uncleared))
