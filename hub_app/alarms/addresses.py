"""Addresses of notifications, and sending to one of them: the only user of apprise.

An address holds a secret, so no message or log of this program repeats one.
"""

import importlib
import logging
import re
import warnings
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec

from bus.config.alarms_table import NotifyConfig
from bus.errors import MisconfiguredError, UnavailableError
from bus.files import private_file
from bus.install.hint import install_extra
from hub_app.alarms.notices import Notice

MAX_ADDRESSES = 32
# Parts of an address that may be a secret are at least this long.
_SECRET_CHARS = 6
_PARTS = re.compile(r"[/:@?&=#,]+")
_TYPES = {"info": "info", "warning": "warning", "critical": "failure", "over": "success"}


class NotSentError(UnavailableError):
    """A service did not take a notification; it is tried again."""


class Address(msgspec.Struct, frozen=True):
    """One address: its name, which holds no secret, and the function that sends to it.

    `send` raises NotSentError.
    """

    name: str
    send: Callable[[Notice], None]


def load(settings: NotifyConfig) -> list[Address]:
    """Return the addresses in the file of the [notify] table; none where it names no file.

    Raises MisconfiguredError where the file is missing, open to others or holds no address, and
    where apprise is not installed.
    """
    if not settings.addresses_file:
        return []
    path = Path(settings.addresses_file)
    try:
        lines = private_file.read(path).decode().splitlines()
    except FileNotFoundError as e:
        raise MisconfiguredError(
            f"{path}: not found, as notify.addresses_file names it; expected a file, mode 0600, "
            "with an address of apprise in each line"
        ) from e
    except UnicodeDecodeError as e:
        raise MisconfiguredError(f"{path}: found no UTF-8 text") from e
    apprise = _apprise()
    numbered = [(i, line.strip()) for i, line in enumerate(lines, 1)]
    found = [(i, line) for i, line in numbered if line and not line.startswith("#")]
    if not 1 <= len(found) <= MAX_ADDRESSES:
        raise MisconfiguredError(
            f"{path}: found {len(found)} addresses, expected 1 to {MAX_ADDRESSES}"
        )
    return [_address(apprise, f"{path}: line {i}", line) for i, line in found]


def _apprise() -> ModuleType:
    try:
        with warnings.catch_warnings():
            # It imports modules that Python has marked as old.
            warnings.simplefilter("ignore", DeprecationWarning)
            found = importlib.import_module("apprise")
            # Its services are imported at the first address only.
            found.Apprise.instantiate("json://localhost")
    except ModuleNotFoundError as e:
        raise MisconfiguredError(
            "notify.addresses_file: the package apprise is not installed; run: "
            f"{install_extra('notify')}"
        ) from e
    # What it logs of its own is in the NotSentError.
    logging.getLogger("apprise").propagate = False
    return found


def _address(apprise: ModuleType, place: str, line: str) -> Address:
    scheme = line.partition("://")[0][:20] if "://" in line else ""
    asset = apprise.AppriseAsset(app_id="HARVESTER", app_desc="HARVESTER", app_url="")
    service = apprise.Apprise.instantiate(line, asset=asset)
    if service is None:
        raise MisconfiguredError(
            f"{place}: found {scheme + '://...' if scheme else 'no address'}, expected an address "
            "of apprise, for example ntfy://ntfy.sh/TOPIC"
        )
    parts = tuple(part for part in _PARTS.split(line) if len(part) >= _SECRET_CHARS)

    def send(notice: Notice) -> None:
        _send(apprise, service, notice, parts)

    return Address(f"{scheme} ({place.rpartition(': ')[2]})", send)


def _send(apprise: ModuleType, service: Any, notice: Notice, secrets: tuple[str, ...]) -> None:
    with apprise.LogCapture(level=logging.WARNING, fmt="%(message)s") as log:
        try:
            taken = service.notify(
                title=notice.title, body=notice.body, notify_type=_TYPES[notice.severity]
            )
        except Exception as e:
            # Apprise has over a hundred services of many authors.
            raise NotSentError(f"{type(e).__name__} in apprise") from e
        said = " ".join(log.getvalue().split())
    if not taken:
        for secret in secrets:
            said = said.replace(secret, "...")
        raise NotSentError(said[:200] or "the service did not take it")
