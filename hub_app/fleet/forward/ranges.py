"""Set of sequence numbers as ascending ranges. Pure."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator

Range = tuple[int, int]
# Beyond every sequence number.
LAST = 2**62


class SeqRanges:
    """Sequence numbers as inclusive ranges that neither overlap nor touch."""

    def __init__(self, ranges: Iterable[Range] = ()) -> None:
        self._firsts: list[int] = []
        self._lasts: list[int] = []
        for first, last in sorted(ranges):
            self.add(first, last)

    def __iter__(self) -> Iterator[Range]:
        return zip(self._firsts, self._lasts, strict=True)

    def __len__(self) -> int:
        """Return how many ranges there are."""
        return len(self._firsts)

    def __contains__(self, seq: int) -> bool:
        i = bisect_right(self._firsts, seq) - 1
        return i >= 0 and self._lasts[i] >= seq

    def add(self, first: int, last: int) -> None:
        """Add the numbers from `first` to `last`."""
        # The ranges from `begin` to before `end` overlap the new one or touch it.
        begin = bisect_right(self._firsts, first - 1)
        if begin and self._lasts[begin - 1] >= first - 1:
            begin -= 1
        end = bisect_right(self._firsts, last + 1)
        if begin < end:
            first = min(first, self._firsts[begin])
            last = max(last, self._lasts[end - 1])
        self._firsts[begin:end] = [first]
        self._lasts[begin:end] = [last]

    def add_each(self, seqs: Iterable[int]) -> None:
        """Add single numbers; a run of them, in order, at once."""
        first = last = None
        for seq in seqs:
            if last is not None and seq == last + 1:
                last = seq
                continue
            if first is not None and last is not None:
                self.add(first, last)
            first = last = seq
        if first is not None and last is not None:
            self.add(first, last)

    def gaps(self) -> Iterator[Range]:
        """Yield the ranges between, and the one after the last, which is without end."""
        begin = 0
        for first, last in self:
            if begin < first:
                yield begin, first - 1
            begin = last + 1
        yield begin, LAST

    @property
    def last(self) -> int:
        """The largest number, -1 where there is none."""
        return self._lasts[-1] if self._lasts else -1
