"""Check of the [names] tables: each should name a sensor that the node has.

The broker knows a node's sensors from their retained descriptions.
"""

import threading
from collections.abc import Iterator, Mapping
from difflib import get_close_matches

from bus.client import credentials
from bus.client.client import BusClient
from bus.client.login import doctor_client_id
from bus.config.settings import Config
from bus.contract.topics import TopicKind, parse, topic_filter
from bus.errors import HarvesterError
from harvester.doctor.finding import Finding, missing, ok, skipped

# Retained messages follow each other within milliseconds; after so long there are no more.
_QUIET_S = 1.0


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
    known: set[str] = set()
    heard = threading.Event()

    # On the bus client's thread.
    def hear(topic: str, payload: bytes) -> None:
        if payload:
            known.add(parse(topic).name)
        heard.set()

    try:
        connection = credentials.of_node(config, environment)
        client = BusClient(
            connection.address,
            others=connection.addresses[1:],
            client_id=doctor_client_id(node),
            login=connection.login,
            filters=[topic_filter(TopicKind.SENSOR, node)],
            on_message=hear,
        )
    except HarvesterError:
        # The broker's own finding says it.
        return known
    client.start()
    try:
        heard.wait(timeout_s)
        while heard.is_set() and not known.issuperset(config.names):
            heard.clear()
            heard.wait(_QUIET_S)
    finally:
        client.stop()
    return known
