"""Subscriptions of sessions, shared ones included, and the receivers of a topic."""

from collections.abc import Sequence

import msgspec

from broker.auth.gate import Gate
from broker.embedded.packets.model import Publish
from broker.embedded.packets.writer5 import publish_bytes
from broker.embedded.session import ClientSession, Link
from broker.embedded.topics.grant import Grant, granted_copy, joined
from broker.embedded.topics.shared import PREFIX, Group, SharedSubscriptions
from broker.embedded.topics.tree import TopicTree

# Topics and their receivers that are remembered, together, and the length of a topic.
MAX_ENTRIES = 32_768
_MAX_CHARS = 256


SharedGroup = Group[ClientSession, Grant]


class Receivers(msgspec.Struct, frozen=True):
    """Receivers of a topic: sessions with their granted QoS, and groups of which one receives.

    Sessions whose subscriptions have options are in `with_options`, not in `sessions`.
    """

    sessions: Sequence[tuple[ClientSession, int]]
    with_options: Sequence[tuple[ClientSession, Grant]]
    groups: Sequence[SharedGroup]


# As for nearly all topics, which the hub takes from its tap.
NOBODY = Receivers((), (), ())


class Subscriptions:
    """Filters must be valid; the gate is asked about each receiver.

    The receivers of a topic are remembered until a subscription or an account changes, with
    `max_entries` in all.
    """

    def __init__(self, gate: Gate, max_entries: int = MAX_ENTRIES) -> None:
        self._gate = gate
        self._max_entries = max_entries
        self._tree: TopicTree[ClientSession, Grant] = TopicTree(joined)
        self._shared: SharedSubscriptions[ClientSession, Grant] = SharedSubscriptions()
        self._known: dict[str, Receivers] = {}
        self._entries = 0
        self._versions = self._current_versions
        self._generation = gate.generation

    def __len__(self) -> int:
        """Return the number of subscriptions of all sessions."""
        return len(self._tree) + len(self._shared)

    def add(self, text: str, session: ClientSession, grant: Grant) -> None:
        """Subscribe, or replace the grant of a subscription (MQTT-3.8.4-3)."""
        if text.startswith(PREFIX):
            self._shared.add(text, session, grant)
        else:
            self._tree.add(text, session, grant)
        self._forget_if_changed()

    def remove(self, text: str, session: ClientSession) -> None:
        """Unsubscribe; what was not subscribed to is fine."""
        self._shared.remove(text, session)
        self._tree.remove(text, session)
        self._forget_if_changed()

    def remove_session(self, session: ClientSession) -> None:
        self._shared.remove_client(session)
        self._tree.remove_client(session)
        self._forget_if_changed()

    def count(self, session: ClientSession) -> int:
        """Return the number of a session's subscriptions."""
        return len(self._tree.filters(session)) + len(self._shared.filters(session))

    def has(self, text: str, session: ClientSession) -> bool:
        return text in self._tree.filters(session) or text in self._shared.filters(session)

    def receivers(self, topic: str) -> Receivers:
        generation = self._gate.generation
        if generation != self._generation:
            self._generation = generation
            self._forget()
        found = self._known.get(topic)
        return self._find(topic) if found is None else found

    def pick(
        self, group: SharedGroup, message: Publish, *, but: ClientSession | None = None
    ) -> tuple[ClientSession, Grant] | None:
        """Return the member that receives a message, in turn; None where there is none.

        A connected member that takes messages at once goes before a slow one, and this one before
        an absent one.
        """

        def rank(session: ClientSession, grant: Grant) -> int | None:
            if session is but or not self._gate.may_receive(session.identity, message.topic):
                return None
            if session.link is None:
                return 2 if session.is_kept else None
            if not _takes(session.link, message, grant):
                return None
            return 0 if session.is_prompt else 1

        return group.pick(rank)

    def other_member(
        self, text: str, message: Publish, session: ClientSession
    ) -> tuple[ClientSession, Grant] | None:
        """Return another member of the group `text` for a message that `session` did not take."""
        group = self._shared.group(text)
        return None if group is None else self.pick(group, message, but=session)

    def has_connected_receiver(self, text: str, message: Publish, session: ClientSession) -> bool:
        """Whether the group `text` has a connected member for a message beside `session`."""
        group = self._shared.group(text)
        return group is not None and any(
            member.link is not None
            and self._gate.may_receive(member.identity, message.topic)
            and _takes(member.link, message, grant)
            for member, grant in group.members.items()
            if member is not session
        )

    @property
    def _current_versions(self) -> tuple[int, int]:
        return self._tree.version, self._shared.version

    def _forget_if_changed(self) -> None:
        versions = self._current_versions
        if versions != self._versions:
            self._versions = versions
            self._forget()

    def _find(self, topic: str) -> Receivers:
        sessions = tuple(
            (session, grant)
            for session, grant in self._tree.match(topic).items()
            if self._gate.may_receive(session.identity, topic)
        )
        plain = tuple((session, grant.qos) for session, grant in sessions if grant.is_plain)
        with_options = tuple(pair for pair in sessions if not pair[1].is_plain)
        groups = self._shared.match(topic)
        found = Receivers(plain, with_options, groups) if sessions or groups else NOBODY
        ids = sum(len(grant.ids) for _, grant in with_options)
        cost = 1 + len(sessions) + len(found.groups) + ids
        if len(topic) <= _MAX_CHARS and cost <= self._max_entries:
            if self._entries + cost > self._max_entries:
                self._forget()
            self._known[topic] = found
            self._entries += cost
        return found

    def _forget(self) -> None:
        self._known.clear()
        self._entries = 0


def _takes(link: Link, message: Publish, grant: Grant) -> bool:
    """Whether a message is not larger than a connected client takes."""
    most_bytes = link.most_packet_bytes
    return most_bytes is None or publish_bytes(granted_copy(message, grant)) <= most_bytes
