"""Wheels of the hub, fetched over TLS that its CA proves, with the account of this node."""

import base64
import hashlib
import http.client
import platform
import shutil
import ssl
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import urlencode

import msgspec

from bus.client.credentials import Credentials
from bus.errors import MisconfiguredError, UnavailableError
from bus.install.wheel_list import WHEELS_PATH, WheelEntry, WheelList
from harvester.update.trust import UpdateHub

_TIMEOUT_S = 60.0
_MOST_LIST_BYTES = 200_000
_CHUNK = 1 << 20
# The hub opens its port when it wants updates, and may be starting itself.
_PATIENCE_S = 120.0
_RETRY_S = 2.0


class HubWheels:
    """The hub's wheels. Raises MisconfiguredError where its CA is none."""

    def __init__(
        self,
        hub: UpdateHub,
        account: Credentials,
        *,
        patience_s: float = _PATIENCE_S,
        wait: Callable[[float], None] = time.sleep,
    ) -> None:
        self._hub = hub
        self._patience_s, self._wait = patience_s, wait
        pair = f"{account.username}:{account.token}".encode()
        self._headers = {"Authorization": f"Basic {base64.b64encode(pair).decode()}"}
        try:
            self._context = ssl.create_default_context(cadata=hub.ca_certificate)
        except (ssl.SSLError, ValueError) as e:
            raise MisconfiguredError(f"found no certificate of the hub's CA: {e}") from e

    def list(self, extras: list[str]) -> WheelList:
        """Return what the hub has for this machine; waits for a hub that is away.

        Raises UnavailableError where it stays away or refuses.
        """
        query = urlencode({"machine": platform.machine(), "extras": ",".join(extras)})
        end_s = time.monotonic() + self._patience_s
        while True:
            try:
                with self._answer(f"{WHEELS_PATH}?{query}") as answer:
                    body = answer.read(_MOST_LIST_BYTES)
                return msgspec.json.decode(body, type=WheelList)
            except _AwayError as e:
                if time.monotonic() > end_s:
                    raise UnavailableError(str(e)) from e
                self._wait(_RETRY_S)
            except msgspec.MsgspecError as e:
                raise UnavailableError(f"the hub's list of wheels cannot be read: {e}") from e

    def fetch(self, found: WheelList, folder: Path) -> Path:
        """Fetch every wheel into `folder`, which is emptied first; return HARVESTER's own.

        Raises UnavailableError where a file is not what the list says, or cannot be written.
        """
        shutil.rmtree(folder, ignore_errors=True)
        try:
            folder.mkdir(mode=0o700, parents=True)
        except OSError as e:
            raise UnavailableError(f"{folder}: {e.strerror}") from e
        for entry in found.wheels:
            self._fetch(entry, folder / entry.name)
        return folder / found.wheels[0].name

    def _fetch(self, entry: WheelEntry, target: Path) -> None:
        digest, size = hashlib.sha256(), 0
        try:
            with closing(self._chunks(entry)) as chunks, target.open("wb") as file:
                for chunk in chunks:
                    digest.update(chunk)
                    size += len(chunk)
                    file.write(chunk)
        except OSError as e:
            raise UnavailableError(f"{target}: cannot be written: {e.strerror}") from e
        if (digest.hexdigest(), size) != (entry.sha256, entry.bytes):
            target.unlink()
            raise UnavailableError(f"{entry.name}: found another file than the hub's list says")

    def _chunks(self, entry: WheelEntry) -> Generator[bytes, None, None]:
        """Yield the file as it comes, of one that is too long the first chunk beyond its size."""
        size = 0
        with self._answer(f"{WHEELS_PATH}/{entry.name}") as answer:
            while size <= entry.bytes and (chunk := answer.read(_CHUNK)):
                size += len(chunk)
                yield chunk

    @contextmanager
    def _answer(self, path: str) -> Iterator[http.client.HTTPResponse]:
        host, port = self._hub.host, self._hub.port
        made = http.client.HTTPSConnection(host, port, timeout=_TIMEOUT_S, context=self._context)
        with closing(made) as connection:
            try:
                connection.request("GET", path, headers=self._headers)
                answer = connection.getresponse()
                if answer.status != http.client.OK:
                    raise UnavailableError(f"the hub refused: {_sentence(answer)}")
                yield answer
            except ssl.SSLCertVerificationError as e:
                raise UnavailableError(
                    f"{host}:{port} is not the hub that this node joined: {e.verify_message}"
                ) from e
            except (OSError, http.client.HTTPException) as e:
                raise _AwayError(f"{host}:{port}: no answer of the hub: {e}") from e


class _AwayError(UnavailableError):
    """The hub does not answer now."""


def _sentence(answer: http.client.HTTPResponse) -> str:
    body = answer.read(_MOST_LIST_BYTES)
    try:
        found = msgspec.json.decode(body)
        return str(found["error"])[:500]
    except (msgspec.MsgspecError, KeyError, TypeError):
        return f"status {answer.status}"
