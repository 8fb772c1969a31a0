"""Metrics of the forwarder."""

from collections.abc import Iterator

from hub_app.homeassistant.forward.status import ForwarderStatus
from hub_app.http.formats.prometheus import Family, Sample, counter, gauge


def families(status: ForwarderStatus | None) -> Iterator[Family]:
    """Yield the families; none where nothing is forwarded."""
    if status is None:
        return
    up = gauge("harvester_homeassistant_up", "Whether Home Assistant's broker is connected")
    waiting = gauge("harvester_homeassistant_waiting", "Messages to send to it")
    connections = counter("harvester_homeassistant_connections", "Connections to it")
    forwarded = counter("harvester_homeassistant_forwarded", "Messages that were sent to it")
    dropped = counter(
        "harvester_homeassistant_dropped", "Messages without room, and events without a connection"
    )
    commands = counter("harvester_homeassistant_commands", "Commands from there", "outcome")
    values = (
        (up, int(status.connected)),
        (waiting, status.waiting),
        (connections, status.connections),
        (forwarded, status.forwarded),
        (dropped, status.dropped),
    )
    for family, value in values:
        family.samples.append(Sample((), value))
        yield family
    commands.samples.append(Sample(("passed",), status.commands))
    commands.samples.append(Sample(("refused",), status.commands_refused))
    yield commands
