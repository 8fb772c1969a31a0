"""Change of the live state: the new value of one topic."""

from typing import Any

import msgspec

from bus.contract.topics import TopicKind


class Change(msgspec.Struct, frozen=True, gc=False):
    """The new value of one topic: a message, a view of one, or None where the topic is gone."""

    topic: str
    kind: TopicKind
    node: str
    name: str
    value: Any
