"""Fair limit of a queue that several publishers fill: the one above its share has to wait.

Pure accounting: it knows no queue, no event loop and no thread.
"""


class FairLimit:
    """Amounts in a queue by publisher.

    Nobody is above its share while less than `limit` is queued. From then on it is whoever has more
    than an equal part of the limit, until half of the queue is free again.
    """

    def __init__(self, limit: int) -> None:
        self.total = 0
        self._limit = limit
        self._amounts: dict[str, int] = {}

    @property
    def has_room(self) -> bool:
        """Whether publishers that wait may go on."""
        return self.total <= self._limit // 2

    def add(self, publisher: str, amount: int) -> None:
        self._amounts[publisher] = self._amounts.get(publisher, 0) + amount
        self.total += amount

    def remove(self, publisher: str, amount: int) -> None:
        left = self._amounts[publisher] - amount
        self.total -= amount
        if left:
            self._amounts[publisher] = left
        else:
            del self._amounts[publisher]

    def clear(self) -> None:
        """Remove everything."""
        self.total = 0
        self._amounts.clear()

    def is_above_share(self, publisher: str) -> bool:
        if self.total < self._limit:
            return False
        return self._amounts.get(publisher, 0) * len(self._amounts) > self._limit
