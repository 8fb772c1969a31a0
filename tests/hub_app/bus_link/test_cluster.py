"""Two workers of a hub on a broker of their own: kills of worker and broker lose nothing."""

from pathlib import Path

import pytest

from broker.auth import accounts
from bus.client import credentials
from bus.client.credentials import Credentials
from bus.config.broker_table import CREDENTIALS_NAME
from bus.config.hub_files import ACCOUNTS_NAME
from tests.broker.external.nats_server import NatsCluster
from tests.hub_app.bus_link.cluster import (
    HUB,
    NAMES,
    Nodes,
    Server,
    Workers,
    check_each_is_stored_once,
    nodes_of,
    wait_until_stored,
)
from tests.support import HOST, free_port, mosquitto_for_hub, settings

pytestmark = pytest.mark.timeout(600)


def test_both_workers_have_nodes() -> None:
    assert nodes_of(1)
    assert nodes_of(2)


def test_on_mosquitto_kills_of_worker_and_broker_lose_nothing(tmp_path: Path) -> None:
    port = free_port()
    url = f"mqtt://{HOST}:{port}"
    enroll_nodes(tmp_path)
    command = mosquitto_with_logins(tmp_path, url)
    nodes = Nodes(tmp_path, url)
    with (
        Server(command, port) as broker,
        Workers(tmp_path, url) as workers,
        nodes.running(),
    ):
        nodes.wait_for_more(5)
        wait_until_stored(workers, nodes, 1)
        wait_until_stored(workers, nodes, 2)
        workers.kill(1)
        nodes.wait_for_more(20)
        # The other worker goes on meanwhile.
        wait_until_stored(workers, nodes, 2)
        workers.start(1)
        broker.kill()
        nodes.wait_for_more(20)
        broker.start()
        nodes.wait_for_more(5)
        nodes.stop_measuring()
        check_each_is_stored_once(workers, nodes)


def enroll_nodes(folder: Path) -> None:
    """Make logins of the nodes, in the accounts that the workers share."""
    for name in NAMES:
        token = accounts.enroll(folder / "state" / ACCOUNTS_NAME, name)
        made = Credentials(username=name, token=token)
        credentials.save(folder / name / CREDENTIALS_NAME, made)


def mosquitto_with_logins(folder: Path, url: str) -> list[str]:
    """Return the command of a Mosquitto with the accounts of nodes and workers."""
    keys = settings(
        cluster__role="hub",
        cluster__node_id=HUB,
        broker__url=url,
        broker__listen=HOST,
        broker__share="1/2",
        storage__state_dir=folder / "state",
    )
    command = mosquitto_for_hub(keys, folder, free_port())
    config = Path(command[-1])
    config.write_text(f"{config.read_text()}persistence true\npersistence_location {folder}/\n")
    return command


def test_on_a_cluster_of_nats_kills_of_worker_and_server_lose_nothing(tmp_path: Path) -> None:
    with NatsCluster(tmp_path) as cluster:
        url = ",".join(f"mqtt://{HOST}:{server.port}" for server in cluster.servers)
        nodes = Nodes(tmp_path, url, "broker.retain_readings=false", "broker.subscribe_qos=0")
        spared = settings(broker__subscribe_qos=0)
        with Workers(tmp_path, url, *spared) as workers, nodes.running():
            nodes.wait_for_more(5)
            wait_until_stored(workers, nodes, 1)
            wait_until_stored(workers, nodes, 2)
            workers.kill(1)
            nodes.wait_for_more(20)
            wait_until_stored(workers, nodes, 2)
            workers.start(1)
            # Workers and nodes are all connected to the first, or to another where it was late.
            cluster.servers[0].kill()
            nodes.wait_for_more(20)
            nodes.stop_measuring()
            check_each_is_stored_once(workers, nodes)
