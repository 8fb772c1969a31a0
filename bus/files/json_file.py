"""JSON files that a program writes for itself, read back at its next start."""

import contextlib
import logging
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import msgspec

from bus.fault import Fault
from bus.files import whole_file

logger = logging.getLogger(__name__)

T = TypeVar("T")


def load(path: Path, of: type[T], consequence: str) -> T | None:
    """Return what is in the file, or None where there is none that can be read.

    A damaged file is set aside, since the next write would replace it; one set aside before is
    replaced. The log says so, with the `consequence`.
    """
    try:
        return msgspec.json.decode(path.read_bytes(), type=of)
    except FileNotFoundError:
        return None
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, OSError) as e:
        aside = path.with_suffix(".damaged")
        with contextlib.suppress(OSError):
            path.replace(aside)
        logger.warning("%s: %s; set aside as %s, %s", path, e, aside.name, consequence)
        return None


def save(path: Path, value: object) -> None:
    """Replace the file, whose folder is created where it is missing. Raises OSError."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    whole_file.replace(path, msgspec.json.encode(value))


class SavedOnChange:
    """File of a value that lives in RAM: `save` writes it where it changed since.

    Without a path, nothing is ever written. Any thread may call.
    """

    def __init__(self, path: Path | None, *, is_saved: bool = True) -> None:
        self._path = path
        self._is_saved = is_saved
        self._fault = Fault(f"{path}: saving")
        # One writer at a time; those who change the value do not wait for it.
        self._saving = threading.Lock()

    def changed(self) -> None:
        """Note that the value has changed."""
        self._is_saved = False

    def save(self, snapshot: Callable[[], object]) -> None:
        """Write what `snapshot` returns where it changed; a disk that refuses is logged once.

        Nobody else may change that object.
        """
        with self._saving:
            if self._is_saved or self._path is None:
                return
            # Before the snapshot, so that a change during it is written the next time.
            self._is_saved = True
            try:
                save(self._path, snapshot())
            except OSError as e:
                self._is_saved = False
                self._fault.failed(str(e))
            else:
                self._fault.worked()
