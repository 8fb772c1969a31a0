"""The [broker] table: address, access and limits for each client."""

from typing import Annotated, Literal

import msgspec

from bus.config.key_types import Port, Seconds, Table

DEFAULT_MQTT_PORT = 1883
# The registered port of MQTT over TLS (IANA, secure-mqtt).
DEFAULT_MQTTS_PORT = 8883
LOOPBACK = "127.0.0.1"
CREDENTIALS_NAME = "credentials.toml"
# Where the shipped files have the hub.
DEFAULT_HUB_URL = f"mqtt://192.168.7.10:{DEFAULT_MQTT_PORT}"

Count = Annotated[int, msgspec.Meta(ge=1, le=1_000_000)]

TopicRoot = Annotated[
    str,
    msgspec.Meta(
        pattern=r"^(?!harvester\Z)[A-Za-z0-9_-]{1,64}\Z",
        description="the first level of a topic, of A-Z, a-z, 0-9, _ and -, not harvester",
    ),
]

PageOrigin = Annotated[
    str,
    msgspec.Meta(
        pattern=r"^(\*|https?://[^/\s]+)\Z",
        description='the origin of a web page, such as "https://mqtt.example", or "*"',
    ),
]

# Rights of a client on the hub itself that shows no login.
LocalAccess = bool | Literal["command", "listen"]


ShareText = Annotated[
    str,
    msgspec.Meta(
        pattern=r"^([1-9][0-9]{0,2}/[1-9][0-9]{0,2})?\Z",
        description='"K/N", worker K of N, like "2/4"',
    ),
]


class Share(msgspec.Struct, frozen=True):
    """Worker `index`, from 1 on, of the `count` hubs that divide the nodes of a broker."""

    index: int
    count: int


class BrokerConfig(Table, frozen=True):
    """`url` empty: the hub embeds a broker, and its own clients use that.

    Those of a cluster are separated by commas; a client that loses one tries the next.

    On a spoke it then is where the credentials say, and without any, where the shipped files have
    the hub. The keys from `packet_kb` on bound the embedded broker.
    """

    url: str = ""
    listen: str = "0.0.0.0"  # noqa: S104 - the spokes are on the LAN
    port: Port = DEFAULT_MQTT_PORT
    keepalive_s: Annotated[int, msgspec.Meta(ge=5, le=600)] = 15
    # "K/N": this hub is worker K of N on the broker of `url`, and handles its share of the nodes.
    share: ShareText = ""

    # The broker keeps the last reading of each sensor. A cluster of NATS slows down by it: false
    # there.
    retain_readings: bool = True
    # QoS of this client's subscriptions. On NATS, each of QoS 1 is a consumer, which takes the
    # cluster as much work as the messages themselves. With 0, a worker still has QoS 1 for events
    # and records, which nobody sends again.
    subscribe_qos: Literal[0, 1] = 1

    # A node's login, as `harvester enroll` wrote it. Empty: credentials.toml beside this file; on
    # the hub, the one that hub-app keeps in its state directory for the hub's own node.
    credentials_file: str = ""

    # The hub's certificate, its key and the CA, as `harvester tls init` makes them. Empty: tls/ in
    # the hub's state directory. Where they are, `listen` is served on `tls_port` with TLS, and
    # `port` on this machine alone.
    tls_dir: str = ""
    tls_port: Port = DEFAULT_MQTTS_PORT
    # With "optional" or "required", a certificate that a client shows must be the CA's, and name
    # the user that logs in.
    client_certificates: Literal["none", "optional", "required"] = "none"

    # A client on the hub itself needs no password to read everything ("listen"), and to command too
    # ("command", or true). A TCP proxy or tunnel on the hub makes local clients of strangers.
    allow_local: LocalAccess = True

    # First levels of the topics of other people's devices, beside `harvester`. Accounts of the
    # roles "device" and "integration" use them. Nothing of it reaches the hub's state.
    open_roots: Annotated[list[TopicRoot], msgspec.Meta(max_length=64)] = []

    # MQTT over WebSocket for web pages and programs, which always log in. 0: none. With the hub's
    # certificate it has TLS, but for a loopback address, where a reverse proxy connects to it.
    # Empty `websocket_listen`: as `listen`.
    websocket_port: Annotated[int, msgspec.Meta(ge=0, le=65535)] = 0
    websocket_listen: str = ""
    # Origins of web pages that may connect, beside those that were loaded from this host.
    websocket_origins: list[PageOrigin] = []

    # Clients without a client identifier are given one. False: they are refused.
    empty_client_ids: bool = True
    # Whose messages are retained: with "nodes", those of nodes and hubs alone.
    retain_by: Literal["all", "nodes"] = "all"
    # The highest QoS at which clients publish. Messages of QoS 2 take the disk twice the work.
    max_qos: Literal[1, 2] = 2

    packet_kb: Annotated[int, msgspec.Meta(ge=4, le=65_536)] = 256
    # The largest payload of a message or a last will. 0: what `packet_kb` leaves.
    payload_bytes: Annotated[int, msgspec.Meta(ge=0, le=67_108_864)] = 0
    in_flight: Annotated[int, msgspec.Meta(ge=1, le=65_535)] = 20
    queued_messages: Count = 1_000
    # What waits for all clients that are away, together.
    queued_mb: Annotated[int, msgspec.Meta(ge=1, le=1024)] = 64
    queued_mb_per_user: Annotated[int, msgspec.Meta(ge=1, le=1024)] = 16
    # A connected client that holds publishers back and takes nothing for so long is closed.
    stalled_s: Annotated[float, msgspec.Meta(ge=0.1, le=600)] = 10.0
    connections: Count = 4_096
    connections_per_address: Count = 1_280
    # The server keep alive of MQTT 5, for clients with a longer one or none; 65,535: any.
    max_keep_alive_s: Annotated[int, msgspec.Meta(ge=5, le=65_535)] = 65_535
    # Connections that have not logged in yet.
    logins: Count = 256
    logins_per_address: Count = 32
    connect_timeout_s: Annotated[float, msgspec.Meta(ge=0.1, le=60)] = 5.0
    # Home Assistant subscribes to every topic of every node.
    subscriptions_per_client: Count = 5_000
    # For 2,000 nodes: 24,000 messages of 10 MB, and for discovery of each 200, 13,400 of 13 MB.
    retained_messages: Count = 200_000
    retained_mb: Annotated[int, msgspec.Meta(ge=1, le=4096)] = 192
    retained_messages_per_user: Count = 2_000
    retained_kb_per_user: Annotated[int, msgspec.Meta(ge=1, le=1_048_576)] = 4_096
    retained_days: Annotated[float, msgspec.Meta(gt=0, le=3650)] = 365.0
    sessions: Count = 1_000
    session_days: Annotated[float, msgspec.Meta(gt=0, le=3650)] = 7.0
    # After a kill of the broker, for clients to come back before their wills are published.
    will_grace_s: Annotated[float, msgspec.Meta(ge=0, le=3600)] = 60.0
    log_lines_per_minute: Annotated[int, msgspec.Meta(ge=1, le=10_000)] = 6
    sys_interval_s: Seconds = 10.0

    @property
    def most_payload_bytes(self) -> int:
        """The largest payload of a message or a last will."""
        return self.payload_bytes or self.packet_kb * 1024

    @property
    def worker(self) -> Share | None:
        """What `share` says; None for a hub with all nodes."""
        if not self.share:
            return None
        index, _, count = self.share.partition("/")
        return Share(int(index), int(count))
