"""Join desk of a running hub: makes and checks codes, answers new machines, and tells the state."""

import time
from http import HTTPStatus
from pathlib import Path

from broker.auth.server_tls import CA_NAME
from broker.token_bucket import TokenBuckets
from bus.clock import now_ms
from bus.config.hub_files import HubFiles
from bus.config.settings import Config
from bus.contract.join import JoinAnswer, JoinRequest, JoinState, JoinStatus
from bus.errors import MisconfiguredError
from bus.peer_address import network_of
from hub_app.hub import Hub
from hub_app.join import codes, place, script
from hub_app.join.codes import JoinCode
from hub_app.join.errors import JoinRefusedError
from hub_app.join.place import JoinPlace
from hub_app.join.wheels import Wheels

# Wrong codes from one address before it is refused, and the time until it may try one more.
WRONG_CODES = 5
_WRONG_CODE_S = 60.0
_MAX_ADDRESSES = 10_000
# A machine that has its login waits this long for its node to be online.
_ONLINE_MS = 15 * 60_000


class JoinDesk:
    """Codes, wheels and place of a hub's joins. Methods that touch files block: use a thread."""

    def __init__(self, config: Config, files: HubFiles, hub: Hub) -> None:
        self._config, self._files, self._hub = config, files, hub
        self.wheels = Wheels(files.state_dir)
        self._wrong: TokenBuckets[str] = TokenBuckets(
            burst=WRONG_CODES, refill_s=_WRONG_CODE_S, keys=_MAX_ADDRESSES
        )

    @property
    def path(self) -> Path:
        return self._files.state_dir / codes.FILE_NAME

    def make_line(self, node: str, *, replace: bool, asked: str = "") -> tuple[str, JoinCode]:
        """Make a code; return the line to run on the machine. Raises HarvesterError."""
        return make_line(
            self._config, self._files, self.place(), node, replace=replace, asked=asked
        )

    def check_ready(self) -> None:
        """Raise MisconfiguredError or UnavailableError where no machine could join."""
        self.place()
        self.wheels.own()

    def place(self) -> JoinPlace:
        """Return the place of joins. Raises MisconfiguredError where there can be none."""
        return place.of(self._config, self._files)

    def revoke(self, node: str) -> bool:
        return codes.revoke(self.path, node)

    def has_open_code(self) -> bool:
        """Whether a machine may still come, or waits for its node to be online."""
        now = now_ms()
        return any(
            code.is_valid(now) or now < code.joined_ms + _ONLINE_MS
            for code in codes.load(self.path)
        )

    def check(self, address: str, code: str) -> JoinCode:
        """Return a code that is right, expired or not. Raises JoinRefusedError."""
        network, now_s = network_of(address), time.monotonic()
        wait_s = self._wrong.wait_s(network, now_s)
        if wait_s:
            raise JoinRefusedError(
                f"too many wrong codes; try again in {wait_s:.0f} s", HTTPStatus.TOO_MANY_REQUESTS
            )
        found = codes.find(self.path, code)
        if found is None:
            self._wrong.take(network, now_s)
            raise JoinRefusedError(
                "found no such code; `harvester join-code` on the hub makes one",
                HTTPStatus.NOT_FOUND,
            )
        return found

    def script(self, found: JoinCode, code: str, asked: str) -> str:
        """Return the script for a machine, and note that it was fetched."""
        codes.check_valid(found, now_ms())
        text = script.fill(found, code, self.place(), asked, self.ca())
        codes.note_fetched(self.path, found, now_ms())
        return text

    def join(self, code: str, request: JoinRequest, asked: str) -> JoinAnswer:
        """Make the login of a machine and return it. Raises JoinRefusedError."""
        found = codes.find(self.path, code)
        if found is None:
            raise JoinRefusedError("found no such code", HTTPStatus.NOT_FOUND)
        codes.use(self.path, self._files.accounts, code, request, now_ms())
        return JoinAnswer(found.node, self.place().broker_url(asked), self.ca())

    def ca(self) -> str:
        """Return the certificate of the hub's CA. Raises MisconfiguredError."""
        path = self._files.tls_dir / CA_NAME
        try:
            return path.read_text()
        except OSError as e:
            raise MisconfiguredError(f"{path}: {e.strerror}") from e

    def status(self, found: JoinCode) -> JoinStatus:
        return JoinStatus(found.node, self._state(found))

    def statuses(self, found: tuple[JoinCode, ...]) -> list[JoinStatus]:
        return [self.status(code) for code in found]

    def _state(self, found: JoinCode) -> JoinState:
        if found.joined_ms:
            return "online" if self._is_online(found) else "joined"
        if not found.is_valid(now_ms()):
            return "expired"
        return "installing" if found.fetched_ms else "waiting"

    def _is_online(self, found: JoinCode) -> bool:
        """Whether the node was heard of with its new login."""
        if found.node not in self._hub.state.nodes:
            return False
        view = self._hub.state.presence(found.node).view
        heard_ms = view.heard_ms or 0
        return view.presence == "online" and heard_ms > found.joined_ms


def make_line(  # noqa: PLR0913 - the hub, its place, and the words of a command
    config: Config,
    files: HubFiles,
    found: JoinPlace,
    node: str,
    *,
    replace: bool,
    asked: str = "",
) -> tuple[str, JoinCode]:
    """Make a code in the hub's file; return the line to run. Raises MisconfiguredError."""
    if node == config.cluster.node_id:
        raise MisconfiguredError(f"found {node}, this hub's own node; expected another name")
    now = now_ms()
    code = codes.new_code()
    made = codes.made_of(code, node, now, replace=replace)
    codes.add(files.state_dir / codes.FILE_NAME, files.accounts, made, now)
    return found.line(code, asked), made
