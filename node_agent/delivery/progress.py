"""Progress of a plugin's last order: fetched, on trial, probation, kept or taken back. Pure.

`current` is what runs, `good` what has proven itself: while they differ, `current` is on probation,
and its failure brings `good` back.
"""

from typing import Annotated

import msgspec

from bus.contract.bounds import ErrorText, Sha256
from bus.contract.messages import DeliveryState, SignedBundle
from bus.contract.plugin_file.order import BundleOrder, Form

FETCHING = "fetching"
TRIAL = "trial"
PROBATION = "probation"
KEPT = "kept"
FAILED = "failed"
ROLLED_BACK = "rolled-back"
SHADOW = "shadow"

# A version that takes the node down with it is not tried for ever.
MAX_STARTS = 3
_MAX_REASON_CHARS = 2000


class Version(msgspec.Struct, frozen=True):
    """A version of a plugin: an order of the hub, or without `sha256` the node's own file.

    `order` and `signature` are as the hub sent them.
    """

    release: int = 0
    sha256: Sha256 = ""
    version: str = ""
    probation: int = 0
    order: str = ""
    signature: Annotated[bytes, msgspec.Meta(max_length=64)] = b""
    is_shadow: bool = False
    form: Form = "bundle"

    @property
    def is_own_file(self) -> bool:
        return not self.sha256


OWN_FILE = Version()


def version_of(said: BundleOrder, message: SignedBundle) -> Version:
    """Return the version in an order that was verified."""
    return Version(
        *(said.release, said.sha256, said.version, said.probation),
        *(message.order, message.signature, said.shadow, said.form),
    )


class Progress(msgspec.Struct, frozen=True):
    """The last order and what became of it. `starts` counts the node's starts in the meantime."""

    wanted: Version = OWN_FILE
    current: Version = OWN_FILE
    good: Version = OWN_FILE
    phase: str = ""
    reason: ErrorText = ""
    since_ms: int = 0
    polls: int = 0
    starts: int = 0

    @property
    def is_on_probation(self) -> bool:
        return self.current != self.good

    @property
    def files(self) -> set[str]:
        """The digests of the files that are still needed."""
        needed = {self.current.sha256, self.good.sha256}
        is_wanted = self.phase in (FETCHING, TRIAL, SHADOW)
        return (needed | {self.wanted.sha256} if is_wanted else needed) - {""}


def take(found: Progress, wanted: Version, now_ms: int, *, is_here: bool = True) -> Progress:
    """Return the progress with a newer order; the version that runs already needs no trial.

    A component that is not there yet is fetched first.
    """
    if not is_here:
        return _changed(found, FETCHING, now_ms, wanted=wanted, starts=0)
    if wanted.is_shadow:
        return _changed(found, SHADOW, now_ms, wanted=wanted, starts=0)
    taken = _changed(found, TRIAL, now_ms, wanted=wanted, starts=0)
    if wanted.sha256 != found.current.sha256:
        return taken
    if found.is_on_probation:
        return msgspec.structs.replace(taken, current=wanted, phase=PROBATION, polls=found.polls)
    return msgspec.structs.replace(taken, current=wanted, good=wanted, phase=KEPT)


def fetched(found: Progress, wanted: Version, error: str, now_ms: int) -> Progress:
    """Return the progress after a fetch; `error` is empty where the file is there now."""
    if found.phase != FETCHING or found.wanted != wanted:
        return found
    if error:
        return _changed(found, FAILED, now_ms, error)
    return take(found, wanted, now_ms)


def tried(found: Progress, error: str, now_ms: int) -> Progress:
    """Return the progress after a trial; `error` is empty where the version has polled.

    A shadow ends with an error, too, where it cannot run on this node.
    """
    if error and found.phase in (TRIAL, SHADOW):
        return _changed(found, FAILED, now_ms, error)
    if found.phase != TRIAL:
        return found
    return _changed(found, PROBATION, now_ms, current=found.wanted, polls=0, starts=0)


def polled(found: Progress, good: int, bad: int, fault: str, now_ms: int) -> Progress:
    """Return the progress after so many polls of `current`; `fault` is of the last bad one."""
    needed = found.current.probation
    if not found.is_on_probation:
        return found
    if good >= needed:
        kept = msgspec.structs.replace(found, good=found.current, polls=good, starts=0)
        is_wanted = found.wanted == found.current
        return _changed(kept, KEPT, now_ms) if is_wanted and found.phase != KEPT else kept
    # More bad ones than it needs good ones: less than half can be good.
    if bad > needed:
        return failed(found, f"only {good} of {good + bad} polls were good: {fault}", now_ms)
    return msgspec.structs.replace(found, polls=good)


def failed(found: Progress, error: str, now_ms: int) -> Progress:
    """Return the progress after `current` failed: one on probation goes back to `good`."""
    if not found.is_on_probation:
        return found
    back = msgspec.structs.replace(found, current=found.good)
    return _changed(back, ROLLED_BACK, now_ms, error) if found.wanted == found.current else back


def shadow_polled(found: Progress, polls: int) -> Progress:
    """Return the progress after so many polls of a shadow: starts count until it has proven itself.

    Those of a version on probation count on.
    """
    if found.phase != SHADOW or found.is_on_probation or polls < found.wanted.probation:
        return found
    return msgspec.structs.replace(found, starts=0)


def started(found: Progress, now_ms: int) -> Progress:
    """Return the progress at a start of the node, which begins trial, probation and shadow anew."""
    if found.phase not in (TRIAL, SHADOW) and not found.is_on_probation:
        return found
    again = msgspec.structs.replace(found, polls=0, starts=found.starts + 1)
    if again.starts <= MAX_STARTS:
        return again
    error = f"the node was started {again.starts} times before it was kept"
    return tried(failed(again, error, now_ms), error, now_ms)


def state_of(found: Progress, refused: str = "", refused_ms: int = 0) -> DeliveryState:
    """Return the message that tells of the progress."""
    wanted, current = found.wanted, found.current
    return DeliveryState(
        release=wanted.release,
        version=wanted.version,
        phase=found.phase,
        reason=found.reason,
        since_ms=found.since_ms,
        polls=found.polls,
        probation=wanted.probation,
        running=0 if current.is_own_file else current.release,
        running_version=current.version,
        running_sha256=current.sha256,
        refused=refused,
        refused_ms=refused_ms,
    )


def _changed(
    found: Progress, phase: str, now_ms: int, reason: str = "", **fields: object
) -> Progress:
    return msgspec.structs.replace(
        found, phase=phase, reason=reason[:_MAX_REASON_CHARS], since_ms=now_ms, **fields
    )
