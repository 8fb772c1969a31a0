"""Source of retained messages that the broker keeps in memory only, since another file has them."""

from collections.abc import Collection, Mapping
from typing import Protocol


class RetainedSource(Protocol):
    """Of its topics the broker's store notes only that they are retained."""

    def keeps(self, topic: str) -> bool:
        """Whether messages of `topic` are in the other file, sooner or later."""

    def load(self, topics: Collection[str]) -> Mapping[str, bytes]:
        """Return the newest payload of each topic that has one; blocks.

        Raises UnavailableError where the file cannot be read right now.
        """
