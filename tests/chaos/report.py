"""The table at the end of a run."""

from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable
from statistics import median

from tests.chaos.play import Outcome, Run
from tests.chaos.truth import Measured, Row

_HEAD = ("fault", "count", "recovery s", "worst", "produced", "stored", "missing", "twice")
_MAX_LISTED = 20


def table(run: Run) -> str:
    """Return the table, and what the count leaves to say.

    A reading belongs to the last fault that began before it was taken. Recovery is the time from
    a fault's end to the next reading of its node in the history: the median, and the longest.
    """
    by_name: dict[str, list[Outcome]] = defaultdict(list)
    for outcome in run.outcomes:
        by_name[outcome.fault.name].append(outcome)
    found = run.found
    produced, missing, twice = (
        _by_fault(run, things) for things in (found.produced, found.missing, found.twice)
    )
    apart = _by_fault(run, [*found.missing, *found.undecided, *found.excused])
    lines: list[tuple[str, ...]] = [_HEAD]
    for name, outcomes in sorted(by_name.items()):
        times = [t for o in outcomes for t in o.recovered_s.values() if t is not None]
        middle, worst = (f"{f(times):.1f}" if times else "-" for f in (median, max))
        kept = produced[name] - apart[name]
        numbers = (produced[name], kept, missing[name], twice[name])
        lines.append((name, str(len(outcomes)), middle, worst, *map(str, numbers)))
    kept = len(found.produced) - sum(apart.values())
    total = (len(found.produced), kept, len(found.missing), len(found.twice))
    lines.append(("all", str(len(run.outcomes)), "", "", *map(str, total)))
    return "\n".join([*_aligned(lines), "", *_remarks(run)])


def _by_fault(run: Run, things: Iterable[Measured | Row]) -> Counter[str]:
    starts = [outcome.begin_ms for outcome in run.outcomes]
    names = ["before the first", *(outcome.fault.name for outcome in run.outcomes)]
    return Counter(names[bisect_right(starts, thing.timestamp_ms)] for thing in things)


def _aligned(lines: list[tuple[str, ...]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return [
        "  ".join(
            [line[0].ljust(widths[0])]
            + [cell.rjust(width) for cell, width in zip(line[1:], widths[1:], strict=True)]
        )
        for line in lines
    ]


def _remarks(run: Run) -> list[str]:
    found = run.found
    said = [
        f"{len(found.stored)} rows in the history, of all sensors, or there when it was corrupted",
        f"{len(found.gaps)} numbers without a row",
        f"{len(found.undecided)} measured as their process was hit, and perhaps not returned",
        f"{len(found.excused)} were in outboxes when those were corrupted on purpose",
        f"{len(found.unexplained)} rows of no measurement",
        *run.failures,
    ]
    for name in ("missing", "twice", "gaps", "unexplained", "undecided"):
        said += [f"{name}: {thing}" for thing in getattr(found, name)[:_MAX_LISTED]]
    return said
