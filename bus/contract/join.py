"""Bodies of a join over HTTPS: what a new machine sends to the hub, and the answers.

A machine makes its token itself and sends hashes of it: the token never leaves the machine.
"""

from typing import Annotated, Literal

import msgspec

from bus.config.key_types import SPI0_MOSI_PIN, Pin
from bus.contract.bounds import Name, Word

# A code of 128 random bits, in base 32 as it stands in a URL.
CODE_BYTES = 16
JOIN_PATH = "/join"
# Where the answer to a request is lost, the machine asks again with the same nonce.
NONCE_BYTES = 16
# Where the script leaves the code to the program.
CODE_VARIABLE = "HARVESTER_JOIN_CODE"

Sha256 = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}\Z")]
Nonce = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{32}\Z")]
# A token's PBKDF2 hash as `broker.auth.tokens.mosquitto_hash` makes it.
MosquittoHash = Annotated[
    str, msgspec.Meta(pattern=r"^\$7\$[0-9]{3}\$[A-Za-z0-9+/]{16}\$[A-Za-z0-9+/]{86}==\Z")
]
Words = Annotated[str, msgspec.Meta(max_length=120, pattern=r"^[^\x00-\x1f\x7f-\x9f]*\Z")]


Pins = Annotated[list[Pin], msgspec.Meta(max_length=16)]
LedCount = Annotated[int, msgspec.Meta(ge=0, le=256)]


class Attached(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Hardware of a new node that gives no sign of itself, by BCM pins; `leds` is their number."""

    dht22: Pins = []
    leds: LedCount = 0
    # A strip there needs no root.
    leds_pin: Pin = SPI0_MOSI_PIN
    buzzer: Pin | None = None
    fan: Pin | None = None

    def __post_init__(self) -> None:
        pins = [*self.dht22, self.buzzer, self.fan, self.leds_pin if self.leds else None]
        used = [pin for pin in pins if pin is not None]
        if twice := {pin for pin in used if used.count(pin) > 1}:
            raise ValueError(f"found pin {min(twice)} twice, expected each pin once")


class JoinRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A machine's request for a login. `repr` omits the hashes."""

    nonce: Nonce
    token_sha256: Sha256
    mosquitto: MosquittoHash
    host: Words
    machine: Words
    model: Words = ""
    found: Annotated[list[Words], msgspec.Meta(max_length=16)] = []

    def __repr__(self) -> str:
        return f"JoinRequest({self.host!r}, {self.machine!r})"


class JoinAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The login without its token: credentials of `node` for the broker at `url`.

    `page` is the URL of the hub's page, `bundle_key` its key of bundles. `area` and `attached` are
    what the operator said of the node; `attached` is None where it was not said.
    """

    node: Name
    url: str
    ca_certificate: str
    page: str
    area: Word = ""
    attached: Attached | None = None
    bundle_key: str = ""
    ok: bool = True


JoinState = Literal["waiting", "installing", "joined", "online", "expired"]


class JoinStatus(msgspec.Struct, frozen=True):
    """Progress of one join: "installing" once a machine has the script, "joined" with its login.

    A machine that has no login by `expires_ms` needs another code.
    """

    node: Name
    state: JoinState
    expires_ms: int
    ok: bool = True
