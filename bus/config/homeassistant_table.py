"""The [homeassistant] table: discovery, and a broker of Home Assistant's own to forward to."""

from typing import Annotated, Literal

import msgspec

from bus.config import broker_url
from bus.config.broker_url import BrokerUrl
from bus.config.key_types import Table
from bus.errors import MisconfiguredError

DEFAULT_PREFIX = "homeassistant"

# Messages for single entities, or for whole devices (Home Assistant 2024.12 and later).
Form = Literal["single", "device"]
NodePattern = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
TopicPrefix = Annotated[
    str,
    msgspec.Meta(
        pattern=r"^(?!harvester(/|\Z))[A-Za-z0-9_-]+(/[A-Za-z0-9_-]+)*\Z",
        max_length=80,
        description="a topic of A-Z, a-z, 0-9, _ and -, without a slash at its end, not harvester",
    ),
]


class HomeAssistantConfig(Table, frozen=True):
    """`discovery` publishes the entities of the nodes that match one of the patterns `nodes`.

    `prefix` is the one below which Home Assistant expects discovery, and publishes its status.

    `broker` is the URL of Home Assistant's own broker, to which the hub forwards; empty where Home
    Assistant is a client of the hub's.
    """

    discovery: bool = False
    form: Form = "single"
    prefix: TopicPrefix = DEFAULT_PREFIX
    nodes: tuple[NodePattern, ...] = ("*",)

    broker: str = ""
    # Publish discovery on the hub's own broker, too, beside `broker`.
    discovery_here: bool = False
    # The CA of that broker's certificate, PEM. Empty: the machine's authorities.
    ca_file: str = ""
    # A TOML file, mode 0600, with the keys `username` and `password`. Empty: no login.
    credentials_file: str = ""

    @property
    def broker_url(self) -> BrokerUrl:
        """The URL of `broker`. Raises MisconfiguredError."""
        return broker_url.parse(
            self.broker,
            "homeassistant.broker",
            secrets="homeassistant.credentials_file",
            names="password",
        )


def check_homeassistant(table: HomeAssistantConfig, role: str) -> None:
    """Raise MisconfiguredError where keys contradict."""
    if not table.broker:
        for key in ("ca_file", "credentials_file"):
            if getattr(table, key):
                raise MisconfiguredError(
                    f"homeassistant.{key}: found a path without homeassistant.broker; expected "
                    "the URL of Home Assistant's broker there"
                )
        return
    if role != "hub":
        raise MisconfiguredError(
            f"homeassistant.broker: found one for the role {role!r}, expected none; only the hub "
            "forwards"
        )
    if table.ca_file and not table.broker_url.tls:
        raise MisconfiguredError(
            f"homeassistant.broker: found {table.broker!r} beside ca_file, expected mqtts://HOST"
        )
