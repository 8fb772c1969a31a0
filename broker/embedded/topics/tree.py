"""Subscription tree: the subscribers of a topic, at a cost that depends on the matches alone."""

from collections.abc import Callable, Hashable, Mapping
from types import MappingProxyType
from typing import Generic, TypeVar

from broker.embedded.topics.levels import Node, find, insert
from broker.embedded.topics.levels import remove as remove_value

C = TypeVar("C", bound=Hashable)
G = TypeVar("G")


class TopicTree(Generic[C, G]):
    """Subscriptions of clients. Filters and topics must be valid (see `names`).

    A client with several filters that match a topic is in the result once, with their grants
    joined (MQTT-3.3.5-1; Mosquitto delivers once, too).
    """

    def __init__(self, join: Callable[[G, G], G]) -> None:
        self._join = join
        self._root: Node[dict[C, G]] = Node()
        self._filters: dict[C, dict[str, G]] = {}
        self._count = 0
        # Grows with each change.
        self.version = 0

    def __len__(self) -> int:
        """Return the number of subscriptions of all clients."""
        return self._count

    def add(self, topic_filter: str, client: C, grant: G) -> bool:
        """Subscribe, or replace the grant of a subscription (MQTT-3.8.4-3); say whether new."""
        filters = self._filters.setdefault(client, {})
        is_new = topic_filter not in filters
        filters[topic_filter] = grant
        self.version += 1
        node = insert(self._root, topic_filter)
        if node.value is None:
            node.value = {}
        node.value[client] = grant
        self._count += is_new
        return is_new

    def remove(self, topic_filter: str, client: C) -> bool:
        """Unsubscribe; return whether the subscription existed."""
        filters = self._filters.get(client)
        if filters is None or filters.pop(topic_filter, None) is None:
            return False
        if not filters:
            del self._filters[client]
        self._remove_value(topic_filter, client)
        return True

    def remove_client(self, client: C) -> None:
        """Remove all subscriptions of a client."""
        for topic_filter in self._filters.pop(client, ()):
            self._remove_value(topic_filter, client)

    def filters(self, client: C) -> Mapping[str, G]:
        """Return the filters of a client with their grants."""
        return MappingProxyType(self._filters.get(client, {}))

    def match(self, topic: str) -> dict[C, G]:
        """Return every client that subscribed to `topic`, and the grants of each, joined."""
        found: dict[C, G] = {}
        # MQTT-4.7.2-1: a leading wildcard matches no topic that begins with `$`.
        wild = not topic.startswith("$")
        nodes = [self._root]
        for level in topic.split("/"):
            reached = []
            for node in nodes:
                children = node.children
                if wild:
                    self._collect(children.get("#"), found)
                    if (one := children.get("+")) is not None:
                        reached.append(one)
                if (same := children.get(level)) is not None:
                    reached.append(same)
            if not reached:
                return found
            nodes, wild = reached, True
        for node in nodes:
            self._collect(node, found)
            # MQTT-4.7.1-2: `a/#` matches its parent `a` as well.
            self._collect(node.children.get("#"), found)
        return found

    def _remove_value(self, topic_filter: str, client: C) -> None:
        self._count -= 1
        self.version += 1
        node = find(self._root, topic_filter)
        if node is None or node.value is None:
            return
        node.value.pop(client, None)
        if not node.value:
            remove_value(self._root, topic_filter)

    def _collect(self, node: Node[dict[C, G]] | None, found: dict[C, G]) -> None:
        if node is None or node.value is None:
            return
        for client, grant in node.value.items():
            last = found.get(client)
            found[client] = grant if last is None else self._join(last, grant)
