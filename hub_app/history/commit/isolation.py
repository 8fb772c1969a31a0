"""Isolation of readings at which the writer fails. It knows no database.

A batch is halved until the reading that fails stands alone; all others are stored.
"""

from collections.abc import Callable, Sequence

from bus.contract.messages import Reading
from hub_app.history.writer import Arrival, Outcome

# Failures in one commit; each costs a writer. What is not isolated by then comes again.
_MOST_FAILURES = 64

Store = Callable[[Sequence[Arrival]], Outcome]
# Readings at which the writer fails, and the cause of each.
Failed = list[tuple[Reading, str]]


def store_apart(
    arrivals: Sequence[Arrival], store: Store, is_of_file: Callable[[Exception], bool]
) -> tuple[Outcome, Failed]:
    """Store all readings but those at which `store` fails alone; return these as well.

    Raises what `store` raises where that is the fault of the file, and where it fails at every
    reading: then it is the fault of none.
    """
    outcome, failed = Outcome(0, [], []), Failed()
    parts, errors = [arrivals], list[Exception]()
    while parts:
        part = parts.pop()
        try:
            outcome = _sum(outcome, store(part))
        except Exception as e:
            if is_of_file(e):
                raise
            errors.append(e)
            if len(part) == 1:
                failed.append((part[0].reading, repr(e)))
            elif len(errors) < _MOST_FAILURES:
                middle = len(part) // 2
                parts += [part[middle:], part[:middle]]
    if errors and not outcome.kept:
        raise errors[0]
    return outcome, failed


def _sum(one: Outcome, other: Outcome) -> Outcome:
    return Outcome(
        one.added + other.added, [*one.kept, *other.kept], [*one.refused, *other.refused]
    )
