"""Wait for a new node: its end, and what the person at the machine is told."""

from collections.abc import Iterator, Sequence

import pytest

from bus.contract.join import JoinState, JoinStatus
from bus.errors import UnavailableError
from harvester.install.system import System
from harvester.join import online

UNIT = "harvester-agent@spoke"


def run_well(_: Sequence[str]) -> str:
    raise UnavailableError("is-failed says no")


def run_failed(words: Sequence[str]) -> str:
    assert list(words) == ["systemctl", "--quiet", "is-failed", UNIT]
    return ""


class Asked:
    """A hub that answers one state after the other; None is no answer."""

    def __init__(self, *states: JoinState | None) -> None:
        self._states: Iterator[JoinState | None] = iter(states)

    def __call__(self) -> JoinStatus:
        state = next(self._states)
        if state is None:
            raise UnavailableError("no answer of the hub")
        return JoinStatus("pi4", state, 0)


def test_the_wait_ends_when_the_hub_hears_of_the_node() -> None:
    hub = Asked("joined", None, "joined", "online")
    online.wait(hub, UNIT, System(run=run_well), poll_s=0.0)
    with pytest.raises(StopIteration):
        hub()


def test_a_service_that_failed_is_told_at_once_with_its_log() -> None:
    with pytest.raises(UnavailableError, match=f"{UNIT} failed; its reason: journalctl -eu {UNIT}"):
        online.wait(Asked("joined"), UNIT, System(run=run_failed), poll_s=0.0)


def test_a_node_that_is_not_heard_of_is_told_after_the_limit() -> None:
    with pytest.raises(UnavailableError, match="the hub has not heard of it for 0 s; its log"):
        online.wait(Asked(*["joined"] * 9), UNIT, System(run=run_well), limit_s=0.0, poll_s=0.0)
