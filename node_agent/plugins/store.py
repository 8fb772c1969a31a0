"""Store of the small values that a plugin keeps: one JSON file for each plugin."""

import contextlib
import logging
import threading
from pathlib import Path

import msgspec

from bus.errors import BadDataError
from bus.files import whole_file

logger = logging.getLogger(__name__)

MAX_BYTES = 64 * 1024


class PluginStore:
    """The values of one plugin, written through to `path`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._values = _read(path)
        self._lock = threading.Lock()

    def get(self, key: str) -> str | None:
        with self._lock:
            return self._values.get(key)

    def set(self, key: str, value: str) -> None:
        """Keep a value. Raises BadDataError where the plugin's values would exceed 64 KB.

        Raises OSError where the disk refuses.
        """
        with self._lock:
            if self._values.get(key) == value:
                return
            values = {**self._values, key: value}
            encoded = msgspec.json.encode(values)
            if len(encoded) > MAX_BYTES:
                raise BadDataError(
                    f"plugin-state: found {len(encoded)} bytes, expected {MAX_BYTES} at most"
                )
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            whole_file.replace(self._path, encoded)
            self._values = values


def _read(path: Path) -> dict[str, str]:
    try:
        return msgspec.json.decode(path.read_bytes(), type=dict[str, str])
    except FileNotFoundError:
        return {}
    except (msgspec.DecodeError, UnicodeDecodeError, OSError) as e:
        aside = path.with_suffix(".damaged")
        with contextlib.suppress(OSError):
            path.replace(aside)
        logger.warning("%s: %s; set aside as %s, starting empty", path, e, aside.name)
        return {}
