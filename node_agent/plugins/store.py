"""Store of the small values that a plugin keeps: in RAM, saved as one JSON file for each plugin."""

import threading
from pathlib import Path

import msgspec

from bus.errors import BadDataError
from bus.files import json_file
from bus.files.json_file import SavedOnChange

MAX_BYTES = 64 * 1024
MAX_KEYS = 256
# `{}` around all pairs; `:` and `,` with each of them.
_BRACES_BYTES = 2
_PAIR_BYTES = 2


class PluginStore:
    """The values of one plugin. `set` never waits for the disk: `save` writes them to `path`.

    Any thread may call.
    """

    def __init__(self, path: Path) -> None:
        self._values: dict[str, str] = json_file.load(path, dict[str, str], "starting empty") or {}
        self._bytes = _BRACES_BYTES + sum(_size(*pair) for pair in self._values.items())
        self._file = SavedOnChange(path)
        self._lock = threading.Lock()

    def get(self, key: str) -> str | None:
        with self._lock:
            return self._values.get(key)

    def set(self, key: str, value: str) -> None:
        """Keep a value. Raises BadDataError where the plugin's values would exceed their bounds."""
        with self._lock:
            former = self._values.get(key)
            if former == value:
                return
            if former is None and len(self._values) >= MAX_KEYS:
                raise BadDataError(f"plugin-state: found a new key, expected {MAX_KEYS} at most")
            size = self._bytes + _size(key, value) - (0 if former is None else _size(key, former))
            if size > max(MAX_BYTES, self._bytes):
                raise BadDataError(
                    f"plugin-state: found {size} bytes, expected {MAX_BYTES} at most"
                )
            self._values[key], self._bytes = value, size
            self._file.changed()

    def save(self) -> None:
        """Write the values to the disk where they changed; a disk that refuses is logged once."""
        self._file.save(self._snapshot)

    def _snapshot(self) -> dict[str, str]:
        with self._lock:
            return dict(self._values)


def _size(key: str, value: str) -> int:
    return len(msgspec.json.encode(key)) + len(msgspec.json.encode(value)) + _PAIR_BYTES
