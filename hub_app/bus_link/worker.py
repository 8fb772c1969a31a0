"""Worker: one of several hubs that divide the nodes of a broker that none of them embeds.

Each subscribes to all topics and takes those of its nodes. Where the number of workers changes, few
nodes change their worker ("rendezvous hashing").
"""

import hashlib

import msgspec

from broker.auth.accounts import worker_user
from bus.config.broker_table import Share
from bus.config.settings import Config
from bus.contract.topics import ACTUATORS, CHANNELS, EVERY_DEPTH, TopicKind, topic_filter
from hub_app.history.inbox import node_of

# A node sends readings again that nobody has stored, and a broker whatever is retained, but it has
# done with its events and records once the broker has them.
SURE_FILTERS = (topic_filter(TopicKind.EVENT), topic_filter(TopicKind.RECORD))
# Every kind of topic but commands. No two filters match one topic, since a broker may then deliver
# a message twice: the results of commands for plugins match the filter of plugins.
_EACH_KIND = (
    *(topic_filter(kind) for kind in CHANNELS if kind not in {TopicKind.COMMAND, TopicKind.RESULT}),
    *(topic_filter(TopicKind.RESULT, name=name) for name in ACTUATORS if name != "plugins"),
)
# Node names come from the network.
_MAX_CACHED_NODES = 65_536


class Worker:
    """Name, account and nodes of worker `own.index` of the hub `hub`."""

    def __init__(self, hub: str, own: Share) -> None:
        self._hub = hub
        self._own = own
        self._owners: dict[str, int] = {}

    @property
    def name(self) -> str:
        """The name of this worker's own machine, where its alarms are about that."""
        return _name(self._hub, self._own.index)

    @property
    def share(self) -> str:
        """Index and number of workers, as `broker.share` has them."""
        return f"{self._own.index}/{self._own.count}"

    @property
    def user(self) -> str:
        """The account with the broker, which may also be the client identifier."""
        return worker_user(self._own.index)

    @property
    def client_id(self) -> str:
        """The client identifier without an account: its session needs a lasting one."""
        return f"{self._hub}-hub-app-{self._own.index}"

    def holds(self, node: str) -> bool:
        """Whether `node` is one of this worker's."""
        owner = self._owners.get(node)
        if owner is None:
            if len(self._owners) >= _MAX_CACHED_NODES:
                self._owners.clear()
            owner = self._owners[node] = self._owner(node)
        return owner == self._own.index

    def holds_topic(self, topic: str) -> bool:
        """Whether a topic below `harvester/` is of one of this worker's nodes."""
        return self.holds(node_of(topic))

    def _owner(self, node: str) -> int:
        workers = range(1, self._own.count + 1)
        # The names of the workers are theirs.
        named = next((index for index in workers if node == _name(self._hub, index)), None)
        return named or max(workers, key=lambda index: _weight(index, node))


def of(config: Config) -> Worker | None:
    """Return the worker that the configuration asks for; None for a hub with all nodes."""
    own = config.broker.worker
    return None if own is None else Worker(config.cluster.node_id, own)


def filters(qos: int) -> tuple[str, ...]:
    """Return the filters of a worker; with QoS 0, `SURE_FILTERS` are among them."""
    return EVERY_DEPTH if qos else _EACH_KIND


def with_own_site(config: Config) -> Config:
    """Return the configuration with a site of a fleet for this worker alone, where there is one."""
    own = config.broker.worker
    if own is None or not config.fleet.site:
        return config
    site = _name(config.fleet.site, own.index)
    return msgspec.structs.replace(config, fleet=msgspec.structs.replace(config.fleet, site=site))


def _name(hub: str, index: int) -> str:
    return f"{hub}-{index}"


def _weight(index: int, node: str) -> bytes:
    return hashlib.blake2b(f"{index} {node}".encode(), digest_size=8).digest()
