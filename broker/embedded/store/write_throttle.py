"""Spares the disk: what changes all the time is written now and then, not each time. Pure."""

# A topic's changes are written at once until it made so many, and so many seconds later one more.
BURST = 20
REFILL_S = 300.0
# How long the others wait, for one commit of all.
INTERVAL_S = 60.0


class Wear:
    """A token bucket for each topic; those that change seldom are not remembered."""

    def __init__(self) -> None:
        self._spent: dict[str, tuple[float, float]] = {}

    def spend(self, topic: str, now_s: float) -> bool:
        """Whether this change of `topic` is to be written at once. `now_s` is monotonic."""
        spent, since_s = self._spent.get(topic, (0.0, now_s))
        spent = max(0.0, spent - (now_s - since_s) / REFILL_S)
        is_due = spent <= BURST - 1
        self._spent[topic] = (spent + is_due, now_s)
        return is_due

    def forget(self, topic: str) -> None:
        self._spent.pop(topic, None)
