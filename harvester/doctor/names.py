"""Check of the [names] tables: each should name a sensor that the node has.

The broker knows a node's sensors from their retained descriptions.
"""

from collections.abc import Iterator, Mapping
from difflib import get_close_matches

from bus.client import credentials
from bus.client.login import doctor_client_id
from bus.config.settings import Config
from bus.contract.topics import TopicKind, parse, topic_filter
from bus.errors import HarvesterError
from harvester.bus.session import BusSession
from harvester.doctor.finding import Finding, missing, ok, skipped


def name_findings(
    config: Config, timeout_s: float, environment: Mapping[str, str] | None = None
) -> Iterator[Finding]:
    """Yield a finding for each sensor that the configuration names."""
    if not config.names:
        return
    known = _known_sensors(config, timeout_s, environment)
    for name in config.names:
        if known:
            yield _finding(name, known)
        else:
            yield skipped(f"names.{name}", "the broker knows no sensor of this node yet")


def _finding(name: str, known: set[str]) -> Finding:
    what = f"names.{name}"
    if name in known:
        return ok(what, "a sensor of this node")
    near = get_close_matches(name, sorted(known), n=1)
    mend = f"rename [names.{name}]" + (f" to [names.{near[0]}]" if near else ", or remove it")
    return missing(what, f"no such sensor; there are {', '.join(sorted(known))}", mend)


def _known_sensors(
    config: Config, timeout_s: float, environment: Mapping[str, str] | None
) -> set[str]:
    """Return the sensors that the broker has; none where it does not answer in time."""
    node = config.cluster.node_id
    try:
        connection = credentials.of_node(config, environment)
        with BusSession(
            connection.addresses,
            connection.login,
            client_id=doctor_client_id(node),
            answer_s=timeout_s,
        ) as session:
            session.subscribe([topic_filter(TopicKind.SENSOR, node)])
            return {parse(message.topic).name for message in session.retained()}
    except HarvesterError:
        # The broker's own finding says it.
        return set()
