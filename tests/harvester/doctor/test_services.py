import os
import socket
from pathlib import Path

import pytest

from broker.auth import accounts
from bus.client import credentials
from bus.client.credentials import Credentials
from bus.config.settings import Config, PluginsConfig
from bus.install import assets
from harvester.doctor import services as doctor_services
from harvester.doctor.finding import Finding
from pizero_native.ping import PingNotAllowedError
from tests.broker.auth.hub import hub_bus
from tests.harvester.doctor.fake_machine import FakePi, config
from tests.support import HOST, embedded_broker, free_port, mosquitto

TIMEOUT_S = 60.0


@pytest.fixture
def pi(tmp_path: Path) -> FakePi:
    return FakePi(tmp_path)


def at(*ports: int) -> Config:
    return config(broker={"url": ",".join(f"mqtt://{HOST}:{port}" for port in ports)})


def check_broker(node: Config, timeout_s: float) -> Finding:
    (found,) = doctor_services.brokers(node, timeout_s)
    return found


def plugins(folder: Path) -> PluginsConfig:
    return PluginsConfig(directory=str(folder / "plugins"))


def test_a_component_that_is_there_is_named_with_its_size(pi: FakePi, tmp_path: Path) -> None:
    pi.put("/plugins/dht22/dht22.wasm", "x" * 200_000)
    found = doctor_services.plugin(pi.machine(), plugins(tmp_path), "dht22")
    assert found.is_well
    assert found.found.endswith("dht22.wasm, 0.2 MB")


def test_a_bundle_is_named_with_its_size(pi: FakePi, tmp_path: Path) -> None:
    pi.put("/plugins/dht22/dht22.bundle", "x" * 7_000)
    found = doctor_services.plugin(pi.machine(), plugins(tmp_path), "dht22")
    assert found.found.endswith("dht22.bundle, 7 KB")


def test_a_plugin_that_is_not_packed_is_named_with_the_command_that_packs_it(
    pi: FakePi, tmp_path: Path
) -> None:
    found = doctor_services.plugin(pi.machine(), plugins(tmp_path), "co2")
    assert found.found.endswith("co2.bundle: No such file or directory")
    assert found.mend == (
        f"sudo /opt/harvester/.venv/bin/harvester --project {tmp_path} plugins pack co2"
    )


def test_a_plugin_that_the_node_lacks_is_the_one_that_comes_with_the_program(
    pi: FakePi, tmp_path: Path
) -> None:
    found = doctor_services.plugin(pi.machine(), plugins(tmp_path), "dht22")
    assert str(assets.root() / "plugins" / "dht22" / "dht22.") in found.found


def cache(pi: FakePi, directory: Path, uid: int | None = None) -> Finding:
    machine = pi.machine(uid=os.geteuid() if uid is None else uid)
    return doctor_services.cache(machine, directory)


def test_a_cache_of_ones_own_is_trusted(pi: FakePi, tmp_path: Path) -> None:
    directory = tmp_path / "cache"
    directory.mkdir(mode=0o700)
    assert cache(pi, directory).is_well


def test_a_cache_that_others_may_write_is_not(pi: FakePi, tmp_path: Path) -> None:
    directory = tmp_path / "cache"
    directory.mkdir()
    directory.chmod(0o770)
    found = cache(pi, directory)
    assert found.found.endswith("mode 0770: others may write")
    assert found.mend == f"chmod -R go-w {directory}"


def test_a_cache_of_someone_else_is_not(pi: FakePi, tmp_path: Path) -> None:
    directory = tmp_path / "cache"
    directory.mkdir(mode=0o700)
    assert cache(pi, directory, uid=4711).mend == f"sudo chown -R harvester {directory}"


def test_a_cache_that_is_not_there_yet_must_be_possible(pi: FakePi, tmp_path: Path) -> None:
    directory = tmp_path / "var" / "cache"
    (tmp_path / "var").mkdir()
    assert cache(pi, directory).is_well
    pi.closed = {"/var"}
    assert cache(pi, directory).mend == f"sudo install -d -m 700 -o harvester {directory}"
    assert not directory.exists()


def test_a_cache_in_a_folder_that_cannot_be_entered_is_one_that_cannot_be_made(
    pi: FakePi, tmp_path: Path
) -> None:
    # A name that no file system takes refuses as a closed folder does, to root as well.
    directory = tmp_path / ("x" * 300) / "cache"
    pi.closed = {"/"}
    assert f"cannot be made in {tmp_path}" in cache(pi, directory).found


def test_our_own_broker_takes_connections() -> None:
    port = free_port()
    with embedded_broker(port):
        found = check_broker(at(port), TIMEOUT_S)
    assert (found.is_well, found.what) == (True, f"broker {HOST}:{port}")


def test_another_broker_takes_connections_too(tmp_path: Path) -> None:
    port = free_port()
    with mosquitto(port, tmp_path):
        assert check_broker(at(port), TIMEOUT_S).is_well


def test_a_running_agent_keeps_its_connection(tmp_path: Path) -> None:
    with hub_bus(tmp_path / "state") as bus:
        token, file = accounts.enroll(bus.accounts, "pi4"), tmp_path / "credentials.toml"
        credentials.save(file, Credentials(username="pi4", token=token))
        broker = {"url": f"mqtt://{HOST}:{bus.port}", "credentials_file": str(file)}
        node = config(cluster={"node_id": "pi4"}, broker=broker)
        with bus.client("pi4", token) as agent:
            found = check_broker(node, TIMEOUT_S)
            assert found.found == "takes connections of pi4"
            agent.ping()


def test_a_broker_that_is_not_there_is_started_on_its_machine() -> None:
    port = free_port()
    found = check_broker(at(port), TIMEOUT_S)
    assert found.found == "Connection refused"
    assert found.mend == f"on {HOST}: sudo systemctl restart harvester-hub"
    hub = config(cluster={"role": "hub"}, broker={"port": port})
    assert check_broker(hub, TIMEOUT_S).mend == "sudo systemctl restart harvester-hub"


def test_each_address_of_a_cluster_is_checked() -> None:
    port, other = free_port(), free_port()
    with embedded_broker(port):
        found = list(doctor_services.brokers(at(port, other), TIMEOUT_S))
    assert [(one.is_well, one.what) for one in found] == [
        (True, f"broker {HOST}:{port}"),
        (False, f"broker {HOST}:{other}"),
    ]


def test_something_else_on_the_port_is_no_broker() -> None:
    with socket.create_server((HOST, 0)) as server:
        found = check_broker(at(server.getsockname()[1]), 0.2)
    assert found.found == "something listens there, but gives no answer to MQTT within 0.2 s"


def test_pings_say_how_they_go_or_how_to_allow_them() -> None:
    def refuse() -> bool:
        raise PingNotAllowedError("no")

    assert doctor_services.pings(lambda: True).found == "through raw sockets"
    assert doctor_services.pings(lambda: False).is_well
    assert "ping_group_range" in doctor_services.pings(refuse).mend
