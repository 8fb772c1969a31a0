"""Record of what simulated hardware did: one JSON object a line, on disk at once."""

import threading
from pathlib import Path
from typing import IO, Any

import msgspec

from bus.clock import now_ms
from bus.errors import MisconfiguredError


class Recorder:
    """Appends to the file `path`; records nothing where that is empty. Any thread may record."""

    def __init__(self, path: str) -> None:
        """Raise MisconfiguredError where the file cannot be written."""
        self._lock = threading.Lock()
        self._file = _opened(path)

    def record(self, event: str, **fields: Any) -> None:
        """Append one event with the time of now; after `close` it is dropped."""
        entry = {"timestamp_ms": now_ms(), "event": event, **fields}
        with self._lock:
            if self._file is not None:
                self._file.write(msgspec.json.encode(entry) + b"\n")

    def close(self) -> None:
        with self._lock:
            if self._file is not None:
                self._file.close()
                self._file = None


def _opened(path: str) -> IO[bytes] | None:
    if not path:
        return None
    try:
        return Path(path).open("ab", buffering=0)
    except OSError as e:
        raise MisconfiguredError(
            f"hardware.record_file: found {path}: {e.strerror}, expected a file to write to"
        ) from e
