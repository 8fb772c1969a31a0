"""Table of faults for docs/durability.md: what each one cost."""

import time
from collections.abc import Mapping

from tests.machines.outboxes import Held, not_stored
from tests.machines.site import Site

_HEAD = "| fault | all nodes online again after | lost readings |\n|---|---|---|"


class FaultTable:
    """Rows of the faults that a site went through."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._start_s = time.monotonic()
        self._rows: list[str] = []
        # Readings in the RAM of a node whose power was cut.
        self.lost = 0

    def add(
        self, fault: str, expected: Mapping[str, set[Held]] | None = None, *, lost: int = 0
    ) -> None:
        """Wait until every node is online and every reading is stored, then note the fault.

        `expected` are readings that were in the outboxes of nodes, all of which have to arrive.
        """
        start_s = time.monotonic()
        self.lost += lost
        self._site.wait_until_online()
        duration_s = time.monotonic() - start_s
        hub = self._site.hub
        for name, readings in (expected or {}).items():
            hub.wait_until(
                lambda name=name, readings=readings: not not_stored(hub, name, readings),  # type: ignore[misc]
                f"readings of {name} in the history",
            )
        self._site.wait_until_complete(self.lost)
        self._rows.append(f"| {fault} | {duration_s:.0f} s | {lost} |")

    def text(self) -> str:
        """Return the table, and below it how many readings there are."""
        streams = self._site.counts()
        stored = sum(stream.stored for stream in streams)
        missing = sum(stream.missing for stream in streams)
        minutes = (time.monotonic() - self._start_s) / 60
        end = (
            f"In {minutes:.0f} minutes: {stored} readings in {len(streams)} streams stored, each "
            f"once; {missing} missing."
        )
        return "\n".join([_HEAD, *self._rows, "", end])
