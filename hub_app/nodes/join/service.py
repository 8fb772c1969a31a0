"""Service of joins in a running hub: makes and checks codes, answers new machines."""

import logging
import platform
import time
from http import HTTPStatus
from pathlib import Path

from broker.auth import bundle_key
from broker.auth.server_tls import CA_NAME
from broker.token_bucket import TokenBuckets
from bus.clock import now_ms
from bus.config.hub_files import HubFiles
from bus.config.settings import Config
from bus.contract.join import JoinAnswer, JoinRequest, JoinState, JoinStatus
from bus.errors import HarvesterError, MisconfiguredError
from bus.peer_address import network_of
from hub_app.hub import Hub
from hub_app.nodes.join import codes, endpoint, script
from hub_app.nodes.join.codes import JoinCode, NodeWish
from hub_app.nodes.join.endpoint import JoinEndpoint
from hub_app.nodes.join.errors import JoinRefusedError
from hub_app.nodes.join.wheels import EXTRAS, Wheels

logger = logging.getLogger(__name__)

# Wrong codes from one address before it is refused, and the time until it may try one more.
WRONG_CODES = 5
_WRONG_CODE_S = 60.0
_MAX_ADDRESSES = 10_000


class JoinService:
    """Codes, wheels and endpoint of joins. Methods that touch files block: use a thread."""

    def __init__(self, config: Config, files: HubFiles, hub: Hub) -> None:
        self._config, self._files, self._hub = config, files, hub
        self.wheels = Wheels(files.state_dir)
        self._wrong: TokenBuckets[str] = TokenBuckets(
            burst=WRONG_CODES, refill_s=_WRONG_CODE_S, keys=_MAX_ADDRESSES
        )

    @property
    def path(self) -> Path:
        return self._files.state_dir / codes.FILE_NAME

    def make_line(self, wish: NodeWish, asked: str = "") -> tuple[str, JoinCode]:
        """Make a code; return the line to run on the machine. Raises MisconfiguredError."""
        return make_line(self._config, self._files, wish, asked)

    def check_ready(self) -> None:
        """Raise MisconfiguredError or UnavailableError where no machine could join."""
        self.endpoint()
        self.wheels.check()

    def prepare(self) -> None:
        """Make the wheels for a machine like the hub, so that none waits for them."""
        try:
            self.wheels.names(platform.machine(), EXTRAS)
        except HarvesterError as e:
            logger.warning("no wheels for new machines: %s", e)

    def endpoint(self) -> JoinEndpoint:
        """Return the endpoint of joins. Raises MisconfiguredError where there can be none."""
        return endpoint.of(self._config, self._files)

    def revoke(self, node: str) -> bool:
        return codes.revoke(self.path, node)

    def has_codes(self) -> bool:
        """Whether a machine may come with a code: one that is good, or one to be refused."""
        now = now_ms()
        return any(code.is_remembered(now) for code in codes.load(self.path))

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
                "found no such code; on the hub, `sudo harvester join-code NAME` makes one",
                HTTPStatus.NOT_FOUND,
            )
        return found

    def script(self, found: JoinCode, code: str, asked: str) -> str:
        """Return the script for a machine, and note that it was fetched.

        A code that was used gives it until the node is online: the same machine may try again.
        """
        codes.check_valid(found, now_ms())
        if self._state(found) == "online":
            raise codes.refuse_used(found)
        text = script.fill(found, code, self.endpoint(), asked, self.ca())
        codes.note_fetched(self.path, found, now_ms())
        return text

    def join(self, code: str, request: JoinRequest, asked: str) -> JoinAnswer:
        """Make the login of a machine and return it. Raises JoinRefusedError."""
        found = codes.find(self.path, code)
        if found is None:
            raise JoinRefusedError("found no such code", HTTPStatus.NOT_FOUND)
        codes.use(self.path, self._files.accounts, code, request, now_ms())
        reached = self.endpoint()
        return JoinAnswer(
            node=found.node,
            url=reached.broker_url(asked),
            ca_certificate=self.ca(),
            page=reached.page_url(asked),
            area=found.area,
            attached=found.attached,
            bundle_key=bundle_key.ensure(self._files.login_dir),
        )

    def ca(self) -> str:
        """Return the certificate of the hub's CA. Raises MisconfiguredError."""
        path = self._files.tls_dir / CA_NAME
        try:
            return path.read_text()
        except OSError as e:
            raise MisconfiguredError(f"{path}: {e.strerror}") from e

    def status(self, found: JoinCode) -> JoinStatus:
        return JoinStatus(found.node, self._state(found), found.expires_ms)

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


def make_line(
    config: Config, files: HubFiles, wish: NodeWish, asked: str = ""
) -> tuple[str, JoinCode]:
    """Make a code in the hub's file; return the line to run. Raises MisconfiguredError.

    `asked` is the hub's name or address in the line, where its certificate has it.
    """
    if wish.node == config.cluster.node_id:
        raise MisconfiguredError(f"found {wish.node}, this hub's own node; expected another name")
    reached = endpoint.of(config, files)
    now = now_ms()
    code = codes.new_code()
    made = codes.made_of(code, wish, now)
    codes.add(files.state_dir / codes.FILE_NAME, files.accounts, made, now)
    return reached.line(code, asked), made
