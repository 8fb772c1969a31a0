"""Table of faults for docs/durability.md: what each one cost."""

import contextlib
import time
from collections.abc import Iterator

import msgspec

from tests.machines import product
from tests.machines.outboxes import Held, held, not_stored
from tests.machines.site import Site

_HEAD = "| fault | all nodes online again after | lost readings |\n|---|---|---|"


class Fault(msgspec.Struct):
    """Fault of a site, and what its end has to show."""

    # By node: readings that have to arrive.
    expected: dict[str, set[Held]] = {}
    # By node: readings of which a power cut may take those that are in RAM.
    at_risk: dict[str, set[Held]] = {}
    end_s: float = 0.0

    def ends(self) -> None:
        """Note that the fault ends now; else it does with the context."""
        self.end_s = time.monotonic()


class FaultTable:
    """Rows of the faults that a site went through."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._start_s = time.monotonic()
        self._rows: list[str] = []
        # Readings in the RAM of a node whose power was cut.
        self.lost = 0

    @contextlib.contextmanager
    def fault(self, name: str, *restarted: str) -> Iterator[Fault]:
        """Yield a fault; then wait until all is well, and note the fault.

        Every node has to be online, those of `restarted` with another run of their program, and
        every reading stored.
        """
        runs = {node: product.run(self._site.hub, node) for node in restarted}
        fault = Fault()
        yield fault
        end_s = fault.end_s or time.monotonic()
        for node, run in runs.items():
            self._wait_for_another(node, run)
        self._site.wait_until_online()
        duration_s = time.monotonic() - end_s
        lost = sum(self._lost(*at_risk) for at_risk in fault.at_risk.items())
        self.lost += lost
        self._wait_until_stored(fault)
        self._rows.append(f"| {name} | {duration_s:.0f} s | {lost} |")

    def _wait_for_another(self, node: str, run: str) -> None:
        hub = self._site.hub
        hub.wait_until(lambda: product.run(hub, node) not in ("", run), f"{node} runs anew")

    def _wait_until_stored(self, fault: Fault) -> None:
        hub = self._site.hub
        for node, readings in fault.expected.items():
            hub.wait_until(
                lambda node=node, readings=readings: not not_stored(hub, node, readings),  # type: ignore[misc]
                f"readings of {node} in the history",
            )
        self._site.wait_until_complete(self.lost)

    def _lost(self, name: str, at_risk: set[Held]) -> int:
        """Return how many readings a power cut took; all were in RAM."""
        node = next(each for each in self._site.nodes if each.name == name)
        streams = {reading.stream for reading in at_risk}
        node.wait_until(
            lambda: not any(reading.stream in streams for reading in held(node)),
            "nothing is left of the time before",
        )
        gone = not_stored(self._site.hub, name, at_risk)
        assert not any(reading.is_safe for reading in gone)
        return len(gone)

    def text(self) -> str:
        """Return the table, and below it how many readings there are."""
        streams = self._site.counts()
        stored = sum(stream.stored for stream in streams)
        missing = sum(stream.missing for stream in streams)
        minutes = (time.monotonic() - self._start_s) / 60
        end = (
            f"In {minutes:.0f} minutes: {stored} readings in {len(streams)} streams stored, each "
            f"once; {self.lost} lost in RAM by power cuts, {missing} holes in the numbers."
        )
        return "\n".join([_HEAD, *self._rows, "", end])
