"""Two workers of a hub on a broker of their own: kills of worker and broker lose nothing."""

from pathlib import Path

import pytest

from tests.broker.external.nats_server import NatsCluster
from tests.hub_app.bus_link.cluster import (
    Nodes,
    Server,
    Workers,
    check_each_is_stored_once,
    nodes_of,
    wait_until_stored,
)
from tests.support import HOST, free_port, program

pytestmark = pytest.mark.timeout(600)


def test_both_workers_have_nodes() -> None:
    assert nodes_of(1)
    assert nodes_of(2)


def test_on_mosquitto_kills_of_worker_and_broker_lose_nothing(tmp_path: Path) -> None:
    port, config = free_port(), tmp_path / "mosquitto.conf"
    config.write_text(
        f"listener {port} {HOST}\nallow_anonymous true\n"
        f"persistence true\npersistence_location {tmp_path}/\nuser root\n"
    )
    url = f"mqtt://{HOST}:{port}"
    nodes = Nodes(tmp_path, url)
    with (
        Server([program("mosquitto"), "-c", str(config)], port) as broker,
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


def test_on_a_cluster_of_nats_kills_of_worker_and_server_lose_nothing(tmp_path: Path) -> None:
    with NatsCluster(tmp_path) as cluster:
        url = ",".join(f"mqtt://{HOST}:{server.port}" for server in cluster.servers)
        nodes = Nodes(tmp_path, url, "broker.retain_readings=false", "broker.subscribe_qos=0")
        with Workers(tmp_path, url) as workers, nodes.running():
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
