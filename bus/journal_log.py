"""Logging to standard error, with the priorities of sd-daemon(3) where that is the journal."""

import faulthandler
import logging
import os
import sys
from collections.abc import Mapping
from typing import TextIO

LOG_FORMAT = "%(levelname)s %(name)s: %(message)s"
_STREAM_KEY = "JOURNAL_STREAM"
# The descriptor of standard error, whatever object writes there.
_STDERR = 2
# From syslog(3): critical, error, warning, informational, debug.
_PRIORITIES = (
    (logging.CRITICAL, 2),
    (logging.ERROR, 3),
    (logging.WARNING, 4),
    (logging.INFO, 6),
    (logging.NOTSET, 7),
)


class JournalFormatter(logging.Formatter):
    """Formatter that begins every line with its priority, as in "<4>".

    The journal takes each line, for example of a traceback, as an entry of its own.
    """

    def format(self, record: logging.LogRecord) -> str:
        prefix = f"<{priority(record.levelno)}>"
        lines = super().format(record).splitlines() or [""]
        return "\n".join(prefix + line for line in lines)


def priority(level: int) -> int:
    """Return the syslog priority of a logging level."""
    return next(number for least, number in _PRIORITIES if level >= least or least == 0)


def set_up(level: int | str, stream: TextIO, environment: Mapping[str, str]) -> None:
    """Let the root logger write to `stream`, which is standard error.

    A crash of the interpreter or of a library writes there at which line each thread was.
    """
    handler = logging.StreamHandler(stream)
    make = JournalFormatter if is_journal(stream, environment) else logging.Formatter
    handler.setFormatter(make(LOG_FORMAT))
    logging.basicConfig(level=level, handlers=[handler])
    # A test run has its own, which writes where people see it.
    if not faulthandler.is_enabled():
        faulthandler.enable(_STDERR)


def print_error(text: str) -> None:
    """Write one line to standard error, where logging is not set up yet."""
    prefix = f"<{priority(logging.ERROR)}>" if is_journal(sys.stderr, os.environ) else ""
    print(prefix + text, file=sys.stderr)  # noqa: T201 - for the person who started the program


def is_journal(stream: TextIO, environment: Mapping[str, str]) -> bool:
    """Whether `stream` is the one that systemd connected with the journal.

    `$JOURNAL_STREAM` names it by device and inode: a program further down may have its standard
    error redirected.
    """
    try:
        status = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return False
    return environment.get(_STREAM_KEY) == f"{status.st_dev}:{status.st_ino}"
