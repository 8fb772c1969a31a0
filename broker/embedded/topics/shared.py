"""Shared subscriptions: `$share/group/filter`, of whose members one receives each message."""

from collections.abc import Callable, Hashable, Mapping
from types import MappingProxyType
from typing import Generic, TypeVar

from broker.embedded.topics.names import valid_filter
from broker.embedded.topics.tree import TopicTree

PREFIX = "$share/"

C = TypeVar("C", bound=Hashable)
G = TypeVar("G")


class Group(Generic[C, G]):
    """The members of one group with one filter, and what each was granted.

    `text` is the whole filter, with the group's name.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self.members: dict[C, G] = {}

    def pick(self, rank: Callable[[C, G], int | None]) -> tuple[C, G] | None:
        """Return the member with the lowest rank and its grant; who waited longest first.

        A member whose rank is None is left out.
        """
        best: C | None = None
        best_rank = 0
        for member, granted in self.members.items():
            found = rank(member, granted)
            if found is not None and (best is None or found < best_rank):
                best, best_rank = member, found
                if not found:
                    break
        if best is None:
            return None
        # To the end of the line.
        grant = self.members.pop(best)
        self.members[best] = grant
        return best, grant


class SharedSubscriptions(Generic[C, G]):
    """Shared subscriptions of clients. Filters must be valid (see `split`)."""

    def __init__(self) -> None:
        # A group has one filter, so no two grants are joined.
        self._tree: TopicTree[Group[C, G], int] = TopicTree(max)
        self._groups: dict[str, Group[C, G]] = {}
        self._filters: dict[C, dict[str, G]] = {}
        # Grows when a group comes or goes, not with its members.
        self.version = 0

    def __len__(self) -> int:
        return sum(map(len, self._filters.values()))

    def add(self, text: str, client: C, grant: G) -> None:
        """Join a group, or change the grant of a member."""
        group = self._groups.get(text)
        if group is None:
            group = self._groups[text] = Group(text)
            self._tree.add(_filter_of(text), group, 0)
            self.version += 1
        group.members[client] = grant
        self._filters.setdefault(client, {})[text] = grant

    def remove(self, text: str, client: C) -> None:
        """Leave a group; one that the client is not in is fine."""
        filters = self._filters.get(client)
        if filters is None or filters.pop(text, None) is None:
            return
        if not filters:
            del self._filters[client]
        group = self._groups[text]
        del group.members[client]
        if not group.members:
            del self._groups[text]
            self._tree.remove_client(group)
            self.version += 1

    def remove_client(self, client: C) -> None:
        for text in tuple(self._filters.get(client, ())):
            self.remove(text, client)

    def filters(self, client: C) -> Mapping[str, G]:
        """Return the shared filters of a client with their grants."""
        return MappingProxyType(self._filters.get(client, {}))

    def group(self, text: str) -> Group[C, G] | None:
        return self._groups.get(text)

    def match(self, topic: str) -> tuple[Group[C, G], ...]:
        """Return the groups whose filters match a topic."""
        return tuple(self._tree.match(topic)) if self._groups else ()


def split(text: str) -> tuple[str, str] | None:
    """Return the group and the filter in `$share/group/filter`; None where it is no valid one."""
    name, slash, topic_filter = text.removeprefix(PREFIX).partition("/")
    is_valid = name and slash and not ("+" in name or "#" in name) and valid_filter(topic_filter)
    return (name, topic_filter) if is_valid else None


def _filter_of(text: str) -> str:
    return text.removeprefix(PREFIX).partition("/")[2]
