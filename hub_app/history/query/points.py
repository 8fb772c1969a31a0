"""Points of a series, and joining several of them to one. Pure."""

from collections.abc import Iterable, Iterator

# Timestamp, mean, minimum, maximum, count.
Point = tuple[int, float, float, float, int]


def merged(points: list[Point]) -> Point:
    """Return one point for several; it has the time of the first."""
    count = sum(point[4] for point in points)
    mean = sum(point[1] * point[4] for point in points) / count
    low, high = min(point[2] for point in points), max(point[3] for point in points)
    return points[0][0], mean, low, high, count


def downsampled(points: Iterable[Point], from_ms: int, step_ms: int) -> Iterator[Point]:
    """Yield one point per interval of `step_ms` that has any; `points` are in order of time."""
    group: list[Point] = []
    start_ms = 0
    for point in points:
        interval_ms = point[0] - (point[0] - from_ms) % step_ms
        if group and interval_ms != start_ms:
            yield (start_ms, *merged(group)[1:])
            group = []
        start_ms = interval_ms
        group.append(point)
    if group:
        yield (start_ms, *merged(group)[1:])


class Buckets:
    """Buckets of `step_ms`, aligned to the epoch, to which values are added in any order."""

    def __init__(self, step_ms: int) -> None:
        self._step_ms = step_ms
        # First time, count, sum, minimum, maximum.
        self._buckets: dict[int, list[float]] = {}

    def add(self, timestamp_ms: int, value: float) -> None:
        """Add a single reading."""
        start_ms = timestamp_ms - timestamp_ms % self._step_ms
        bucket = self._buckets.get(start_ms)
        if bucket is None:
            self._buckets[start_ms] = [timestamp_ms, 1, value, value, value]
            return
        bucket[1] += 1
        bucket[2] += value
        if value < bucket[3]:
            bucket[3] = value
        elif value > bucket[4]:
            bucket[4] = value

    def points(self) -> list[Point]:
        """Return the points in order of time; that of a lone reading has the reading's time."""
        return [
            (int(first) if count == 1 else start_ms, total / count, low, high, int(count))
            for start_ms, (first, count, total, low, high) in sorted(self._buckets.items())
        ]
