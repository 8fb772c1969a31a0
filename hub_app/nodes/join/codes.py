"""Join codes: a file in the hub's state directory, which holds their hashes and no secret.

`harvester join-code` and the page add codes, the running hub follows and uses them. The script of a
code may be fetched for 15 minutes; from the first fetch on, one machine has another 15 to get its
login.
"""

import base64
import hashlib
import secrets
from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path

import msgspec

from broker.auth import accounts
from bus.contract.bounds import Name, Word
from bus.contract.join import CODE_BYTES, Attached, JoinRequest
from bus.contract.topics import NAME_RULE, is_name
from bus.errors import MisconfiguredError
from bus.files import private_json
from hub_app.nodes.join.errors import JoinRefusedError

FILE_NAME = "join-codes.json"
VALID_MS = 15 * 60_000
# A used or expired code is known for this long: for its status, and to say what became of it.
_REMEMBERED_MS = 60 * 60_000
MAX_CODES = 16


class NodeWish(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The node that an operator wants: its id, its place and its hardware.

    `replace`: the machine takes the place of one with this id. `attached` is None where the
    operator did not say; the machine then asks the person in front of it.
    """

    node: Name
    replace: bool = False
    area: Word = ""
    attached: Attached | None = None


class JoinCode(NodeWish, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One code. `fetched_ms` and `joined_ms` are 0 until that happened; `repr` omits hashes."""

    code_sha256: str
    expires_ms: int
    fetched_ms: int = 0
    joined_ms: int = 0
    nonce_sha256: str = ""
    token_sha256: str = ""

    def __repr__(self) -> str:
        return f"JoinCode({self.node!r}, expires_ms={self.expires_ms})"

    def is_valid(self, now_ms: int) -> bool:
        return now_ms < self.expires_ms

    def is_remembered(self, now_ms: int) -> bool:
        """Whether the hub still says what became of the code."""
        return now_ms < max(self.expires_ms, self.joined_ms) + _REMEMBERED_MS


def load(path: Path) -> tuple[JoinCode, ...]:
    """Return the codes in the file; none where it is missing. Raises MisconfiguredError."""
    return private_json.load(path, tuple[JoinCode, ...], (), what="join codes", remedy="remove it")


def add(path: Path, accounts_path: Path, code: JoinCode, now_ms: int) -> None:
    """Add a code; it takes the place of an earlier one for the same node.

    Raises MisconfiguredError where its name cannot be had, or too many codes are valid.
    """
    check_name(accounts_path, code.node, replace=code.replace)

    def added(found: tuple[JoinCode, ...]) -> tuple[JoinCode, ...]:
        others = [each for each in found if each.node != code.node and each.is_remembered(now_ms)]
        if sum(each.is_valid(now_ms) for each in others) >= MAX_CODES:
            raise MisconfiguredError(
                f"found {MAX_CODES} join codes that are valid; wait until one is used or expires"
            )
        return (*others[-MAX_CODES:], code)

    private_json.change(path, load, added)


def revoke(path: Path, node: str) -> bool:
    """Remove the code for a node; return whether there was one."""
    before = load(path)
    private_json.change(
        path, load, lambda found: tuple(each for each in found if each.node != node)
    )
    return any(each.node == node for each in before)


def new_code() -> str:
    """Return a new code of 128 random bits."""
    random = secrets.token_bytes(CODE_BYTES)
    return base64.b32encode(random).decode().rstrip("=").lower()


def made_of(code: str, wish: NodeWish, now_ms: int) -> JoinCode:
    return JoinCode(
        node=wish.node,
        replace=wish.replace,
        area=wish.area,
        attached=wish.attached,
        code_sha256=digest(code),
        expires_ms=now_ms + VALID_MS,
    )


def digest(text: str) -> str:
    """Return the SHA-256 of a code or nonce: 128 random bits need no slower hash."""
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()


def find(path: Path, code: str) -> JoinCode | None:
    """Return the code, expired or not; None where it is wrong."""
    wanted = digest(code)
    return next((each for each in load(path) if each.code_sha256 == wanted), None)


def check_valid(found: JoinCode, now_ms: int) -> None:
    """Raise JoinRefusedError where a code has expired."""
    if not found.is_valid(now_ms):
        raise JoinRefusedError(
            f"this code for {found.node} has {'been used' if found.joined_ms else 'expired'}; "
            f"make another on the hub: {_command(found)}",
            HTTPStatus.GONE,
        )


def refuse_used(found: JoinCode) -> JoinRefusedError:
    """Return the refusal of a code that a machine has used already."""
    return JoinRefusedError(
        f"a machine has used this code for {found.node}; make another on the hub: "
        "sudo harvester join-code NAME",
        HTTPStatus.GONE,
    )


def _command(found: JoinCode) -> str:
    replaces = found.replace or found.joined_ms
    return f"sudo harvester join-code {found.node}{' --replace' if replaces else ''}"


def note_fetched(path: Path, found: JoinCode, now_ms: int) -> None:
    """Note the first fetch of the script, which leaves time for the installation."""

    def fetched(code: JoinCode) -> JoinCode:
        if code.fetched_ms:
            return code
        return msgspec.structs.replace(code, fetched_ms=now_ms, expires_ms=now_ms + VALID_MS)

    if not found.fetched_ms:
        _change_one(path, found.code_sha256, fetched)


def use(path: Path, accounts_path: Path, code: str, request: JoinRequest, now_ms: int) -> None:
    """Make the login of the machine that sent `request`, and note that the code is used.

    The same machine may ask again, as the answer may have been lost. Raises JoinRefusedError where
    another machine used the code, or it has expired.
    """
    wanted, nonce = digest(code), digest(request.nonce)

    def used(found: JoinCode) -> JoinCode:
        check_valid(found, now_ms)
        if found.joined_ms:
            if (found.nonce_sha256, found.token_sha256) != (nonce, request.token_sha256):
                raise refuse_used(found)
            return found
        # Where a power cut comes before the code is marked as used, the same machine asks again.
        accounts.enroll_hashed(accounts_path, found.node, request.token_sha256, request.mosquitto)
        return msgspec.structs.replace(
            found, joined_ms=now_ms, nonce_sha256=nonce, token_sha256=request.token_sha256
        )

    _change_one(path, wanted, used)


def check_name(accounts_path: Path, node: str, *, replace: bool) -> None:
    """Raise MisconfiguredError where a machine cannot have the name."""
    if not is_name(node):
        raise MisconfiguredError(f"found {node[:70]!r}, expected a node's name of {NAME_RULE}")
    found = accounts.load(accounts_path)
    if node in found.people or node == accounts.LOCAL_USER:
        raise MisconfiguredError(f"{node} is a person's account; expected another node id")
    if node in found.nodes and not replace:
        raise MisconfiguredError(
            f"{node} has a login already; a new machine that takes its name and history replaces "
            f"it: sudo harvester join-code {node} --replace"
        )
    if node not in found.nodes and replace:
        raise MisconfiguredError(
            f"found no login of {node}, which a new machine would replace; expected one of "
            f"{', '.join(sorted(found.nodes)) or 'none yet'}, or no --replace"
        )


def _change_one(path: Path, code_sha256: str, change: Callable[[JoinCode], JoinCode]) -> None:
    """Change one code under the file's lock: two machines may show it at the same time."""
    private_json.change(
        path,
        load,
        lambda found: tuple(
            change(each) if each.code_sha256 == code_sha256 else each for each in found
        ),
    )
