"""HTTPS client of a join: asks the hub, which the CA of the authentic script proves."""

import http.client
import json
import ssl
from typing import TypeVar
from urllib.parse import urlsplit

import msgspec

from bus.contract.join import JOIN_PATH, JoinAnswer, JoinRequest, JoinStatus
from bus.errors import MisconfiguredError, UnavailableError

T = TypeVar("T")

_TIMEOUT_S = 20.0
_MOST_BYTES = 65_536


class JoinClient:
    """The hub at `url`, for one code. `ca_pem` is the certificate of the hub's CA."""

    def __init__(self, url: str, code: str, ca_pem: str) -> None:
        parts = urlsplit(url)
        if parts.scheme != "https" or parts.hostname is None:
            raise MisconfiguredError(f"found {url[:70]!r}, expected https://HOST:PORT")
        self.host, self._port = parts.hostname, parts.port
        self._path = f"{JOIN_PATH}/{code}"
        try:
            self._context = ssl.create_default_context(cadata=ca_pem)
        except (ssl.SSLError, ValueError) as e:
            raise MisconfiguredError(f"found no certificate of the hub's CA: {e}") from e

    def join(self, request: JoinRequest) -> JoinAnswer:
        """Send the hashes of the token; return the login.

        Raises as `_ask` does, and UnavailableError where the answer is something else.
        """
        body = self._ask("POST", self._path, msgspec.json.encode(request))
        return _decoded(body, JoinAnswer)

    def status(self) -> JoinStatus:
        return _decoded(self._ask("GET", f"{self._path}/status"), JoinStatus)

    def _ask(self, method: str, path: str, body: bytes | None = None) -> bytes:
        """Return the body of the answer.

        Raises MisconfiguredError where the hub refuses, UnavailableError where it does not answer.
        """
        connection = http.client.HTTPSConnection(
            self.host, self._port, timeout=_TIMEOUT_S, context=self._context
        )
        try:
            connection.request(method, path, body, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            found = answer.read(_MOST_BYTES)
        except (OSError, http.client.HTTPException) as e:
            raise UnavailableError(f"{self.host}:{self._port}: no answer of the hub: {e}") from e
        finally:
            connection.close()
        if answer.status != http.client.OK:
            raise MisconfiguredError(f"the hub refused: {_sentence(found)}")
        return found


def _decoded(body: bytes, of: type[T]) -> T:
    try:
        return msgspec.json.decode(body, type=of)
    except (msgspec.MsgspecError, UnicodeDecodeError) as e:
        raise UnavailableError(f"the hub's answer cannot be read: {e}") from e


def _sentence(body: bytes) -> str:
    try:
        return str(json.loads(body)["error"])[:500]
    except (ValueError, KeyError, TypeError):
        return body[:200].decode(errors="replace")
