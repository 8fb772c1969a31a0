"""Finding of one check, and its line of text."""

import enum
from collections.abc import Sequence

import msgspec


class State(enum.StrEnum):
    """First word of a finding's line."""

    OK = "ok"
    MISSING = "MISSING"
    SKIPPED = "skipped"
    ADVICE = "advice"


class Finding(msgspec.Struct, frozen=True):
    """One line: the thing checked, what was found and the remedy of what is missing.

    An advice works without its remedy, which makes it better.
    """

    state: State
    what: str
    found: str
    mend: str = ""

    @property
    def is_well(self) -> bool:
        return self.state is not State.MISSING


def ok(what: str, found: str) -> Finding:
    return Finding(State.OK, what, found)


def missing(what: str, found: str, mend: str) -> Finding:
    return Finding(State.MISSING, what, found, mend)


def skipped(what: str, found: str) -> Finding:
    return Finding(State.SKIPPED, what, found)


def advice(what: str, found: str, mend: str) -> Finding:
    return Finding(State.ADVICE, what, found, mend)


# A longer text shifts the command of its own line only.
_WIDEST_FOUND = 48


def rendered(findings: Sequence[Finding]) -> str:
    """Return one aligned line a finding; the last column is the command that mends it."""
    what = max((len(finding.what) for finding in findings), default=0)
    found = min(_WIDEST_FOUND, max((len(f.found) for f in findings if f.mend), default=0))
    lines = (
        f"{f.state:<8} {f.what:<{what}}  "
        + (f"{f.found:<{found}}  mend: {f.mend}" if f.mend else f.found)
        for f in findings
    )
    return "\n".join(lines)
