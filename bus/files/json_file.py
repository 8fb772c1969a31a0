"""JSON files that a program writes for itself, read back at its next start."""

import contextlib
import logging
from pathlib import Path
from typing import TypeVar

import msgspec

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
