"""Source of components: the hub's port for machines, with the node's own login.

A fetch goes on where the one before was cut off. It is bounded in size and time, and its result is
compared with the signed digest by the caller.
"""

import base64
import http.client
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import msgspec

from bus.client.login import Login, tls_context
from bus.contract.plugin_file.component_file import COMPONENTS_PATH
from bus.contract.plugin_file.order import BundleOrder
from bus.errors import BadDataError, UnavailableError

_TIMEOUT_S = 30.0
# The reason of OpenSSL where a server speaks plain HTTP.
_NOT_TLS = "WRONG_VERSION_NUMBER"
_WITHOUT_TLS = (
    "the hub answers without TLS, which this node's login uses; run `harvester tls init` on the "
    "hub and restart it, or send a bundle"
)
# A node on a slow link needs many minutes for 18 MB; what came stays for the next attempt.
_ATTEMPT_S = 1800.0
_CHUNK = 1 << 16
_MOST_ERROR_BYTES = 4096
_MAX_SENTENCE_CHARS = 300

Note = Callable[[int], object]


class ComponentGoneError(BadDataError):
    """A component that the hub does not have for this node: no later attempt finds it."""


class HubAddress(msgspec.Struct, frozen=True):
    """The hub at the broker's address, and the login there, with the CA that proves the hub.

    The hub is asked over TLS where the login is.
    """

    host: str
    login: Login


class ComponentSource:
    """Fetches components from the hub. `is_stopping` ends a fetch with UnavailableError."""

    def __init__(
        self, hub: Callable[[], HubAddress | None], is_stopping: Callable[[], bool]
    ) -> None:
        self._hub, self._is_stopping = hub, is_stopping

    def fetch(self, said: BundleOrder, target: Path, note: Note) -> None:
        """Bring what is missing of a component to `target`, of which some may be there.

        An order without a host is of the hub at the broker's address. At most one byte more than
        its size is written. `note` is told the number of bytes that are there. Raises
        UnavailableError, ComponentGoneError, OSError of the disk.
        """
        with target.open("ab") as file:
            there = file.tell()
            size_bytes = said.size_bytes
            if there >= size_bytes:
                return
            end_s = time.monotonic() + _ATTEMPT_S
            with self._answer(said, there) as answer:
                if answer.status != http.client.PARTIAL_CONTENT:
                    file.truncate(there := 0)
                for chunk in self._chunks(answer, size_bytes + 1 - there, end_s):
                    file.write(chunk)
                    note(there := there + len(chunk))
        if there < size_bytes:
            raise UnavailableError(f"the transfer ended after {there} of {size_bytes} bytes")

    def _chunks(
        self, answer: http.client.HTTPResponse, most_bytes: int, end_s: float
    ) -> Iterator[bytes]:
        while most_bytes > 0:
            try:
                chunk = answer.read1(min(_CHUNK, most_bytes))
            except (OSError, http.client.HTTPException) as e:
                raise UnavailableError(f"the transfer was cut off: {e}") from e
            if not chunk:
                return
            most_bytes -= len(chunk)
            yield chunk
            if self._is_stopping():
                raise UnavailableError("another version is wanted, or the node stops")
            if time.monotonic() > end_s:
                raise UnavailableError(f"the transfer was not over after {_ATTEMPT_S:.0f} s")

    @contextmanager
    def _answer(self, said: BundleOrder, there: int) -> Iterator[http.client.HTTPResponse]:
        hub, port = self._hub(), said.port
        if hub is None:
            raise UnavailableError("this node has no login, with which it could ask the hub")
        if said.host:
            hub = msgspec.structs.replace(hub, host=said.host)
        headers = {"Authorization": _basic(hub.login)}
        if there:
            headers["Range"] = f"bytes={there}-"
        with closing(_connection(hub, port)) as connection:
            try:
                connection.request("GET", f"{COMPONENTS_PATH}/{said.sha256}", headers=headers)
                answer = connection.getresponse()
            except ssl.SSLCertVerificationError as e:
                raise UnavailableError(
                    f"{hub.host}:{port} is not the hub of this node's login: {e.verify_message}"
                ) from e
            except ssl.SSLError as e:
                if e.reason != _NOT_TLS:
                    raise UnavailableError(f"{hub.host}:{port}: no answer of the hub: {e}") from e
                raise UnavailableError(f"{hub.host}:{port}: {_WITHOUT_TLS}") from e
            except (OSError, http.client.HTTPException) as e:
                raise UnavailableError(f"{hub.host}:{port}: no answer of the hub: {e}") from e
            _check(answer, there)
            yield answer


def _connection(hub: HubAddress, port: int) -> http.client.HTTPConnection:
    if hub.login.tls:
        context = tls_context(hub.login)
        return http.client.HTTPSConnection(hub.host, port, timeout=_TIMEOUT_S, context=context)
    return http.client.HTTPConnection(hub.host, port, timeout=_TIMEOUT_S)


def _basic(login: Login) -> str:
    pair = f"{login.username}:{login.token}".encode()
    return f"Basic {base64.b64encode(pair).decode()}"


def _check(answer: http.client.HTTPResponse, there: int) -> None:
    """Raise UnavailableError or ComponentGoneError where an answer brings no such bytes."""
    if answer.status == http.client.OK:
        return
    if answer.status == http.client.PARTIAL_CONTENT:
        if answer.getheader("Content-Range", "").startswith(f"bytes {there}-"):
            return
        raise UnavailableError("the hub sent another part than the one that is missing")
    sentence = f"the hub refused: {_sentence(answer)}"
    if answer.status == http.client.NOT_FOUND:
        raise ComponentGoneError(sentence)
    raise UnavailableError(sentence)


def _sentence(answer: http.client.HTTPResponse) -> str:
    try:
        body = msgspec.json.decode(answer.read(_MOST_ERROR_BYTES))
        return str(body["error"])[:_MAX_SENTENCE_CHARS]
    except (OSError, http.client.HTTPException, msgspec.MsgspecError, KeyError, TypeError):
        return f"status {answer.status}"
