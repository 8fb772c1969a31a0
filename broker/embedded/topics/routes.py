"""Routes: for each topic the sessions that subscribed to it and may receive it, cached."""

from collections.abc import Sequence

from broker.auth.gate import Gate
from broker.embedded.session import ClientSession
from broker.embedded.topics.tree import TopicTree

# Topics and their receivers that are remembered, together, and the length of a topic.
_MAX_ENTRIES = 32_768
_MAX_CHARS = 256

Route = tuple[ClientSession, int]


class Routes:
    """Receivers of topics with the QoS that each was granted.

    Everything is forgotten when a subscription or an account changes.
    """

    def __init__(self, tree: TopicTree[ClientSession], gate: Gate) -> None:
        self._tree = tree
        self._gate = gate
        self._known: dict[str, Sequence[Route]] = {}
        self._entries = 0
        self._tree_version = tree.version
        self._generation = gate.generation

    def of(self, topic: str) -> Sequence[Route]:
        """Return the receivers of a topic."""
        tree_version, generation = self._tree.version, self._gate.generation
        if tree_version != self._tree_version or generation != self._generation:
            self._forget()
            self._tree_version, self._generation = tree_version, generation
        found = self._known.get(topic)
        return self._find(topic) if found is None else found

    def _find(self, topic: str) -> Sequence[Route]:
        found = tuple(
            (session, qos)
            for session, qos in self._tree.match(topic).items()
            if self._gate.may_receive(session.identity, topic)
        )
        cost = 1 + len(found)
        if len(topic) <= _MAX_CHARS and cost <= _MAX_ENTRIES:
            if self._entries + cost > _MAX_ENTRIES:
                self._forget()
            self._known[topic] = found
            self._entries += cost
        return found

    def _forget(self) -> None:
        self._known.clear()
        self._entries = 0
