"""Metrics of the forwarding to the fleet's database."""

from collections.abc import Iterator

from hub_app.fleet.forward.status import FleetStatus
from hub_app.http.formats.prometheus import Family, Sample, counter, gauge


def families(status: FleetStatus | None) -> Iterator[Family]:
    """Yield the families; none where nothing is forwarded."""
    if status is None:
        return
    values = [
        (gauge("harvester_fleet_up", "Whether the database is connected"), int(status.connected)),
        (counter("harvester_fleet_forwarded", "Readings that were stored there"), status.forwarded),
        (
            counter("harvester_fleet_redated", "Readings that got another time there"),
            status.redated,
        ),
    ]
    if status.waiting >= 0:
        waiting = gauge("harvester_fleet_waiting", "Readings that are not stored there yet")
        values.append((waiting, status.waiting))
    for family, value in values:
        family.samples.append(Sample((), value))
        yield family
