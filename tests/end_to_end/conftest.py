"""The whole system as `make run` starts it, on free ports."""

import contextlib
import shutil
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from selenium.webdriver import Chrome

from broker.auth import enrolment
from bus.client.credentials import CREDENTIALS_NAME
from bus.config.hub_files import ACCOUNTS_NAME
from tests import failures
from tests.built_components import CACHE, packed
from tests.chromium import chromium
from tests.support import (
    HOST,
    PATIENT_S,
    PROJECT,
    WAIT_S,
    Listener,
    Service,
    free_port,
    mosquitto_for_hub,
    settings,
    wait_until_listening,
)

START_S = 120.0
# A node with a plugin that has events: of those that are shipped, none has.
DOOR = "door"
DOOR_TOML = """
[cluster]
node_id = "{node}"
[broker]
url = "{url}"
[polling]
interval_seconds = 0.5
[hardware]
driver = "simulated"
scenario = "presses.toml"
[storage]
state_dir = "state"
runtime_dir = "run"
cache_dir = "{cache}"
[plugins]
directory = "{plugins}"
enabled = ["doorbell"]
poll_deadline_s = {patient_s}
load_deadline_s = {patient_s}
[plugins.grants.doorbell]
inputs = [17]
outputs = [{{ pin = 22, safe = "low" }}]
readings = ["pi4:*"]
events = true
fan = true
state = true
"""
PRESSES = """
[inputs.gpio17]
pulses = [{ at_s = 1, count = 1000, width_s = 0.1, every_s = 2 }]
"""


HARVESTER = [str(Path(sys.executable).parent / "harvester"), "--project", str(PROJECT)]
DEADLINE = "poll_deadline_s = 1.0"


def patient_project(folder: Path) -> Path:
    """Return this project with a deadline of polls that a loaded machine keeps."""
    project = folder / "project"
    shutil.copytree(PROJECT / "config", project / "config")
    for shared in ("plugins", "wit", ".harvester"):
        (project / shared).symlink_to(PROJECT / shared)
    patient = f"poll_deadline_s = {PATIENT_S}\nload_deadline_s = {PATIENT_S}"
    hub, spoke = (project / "config" / f"{role}.toml" for role in ("hub", "spoke"))
    hub.write_text(hub.read_text().replace("[plugins]\n", f"[plugins]\n{patient}\n"))
    spoke.write_text(spoke.read_text().replace(DEADLINE, patient))
    assert all(patient in file.read_text() for file in (hub, spoke))
    return project


class System:
    """A running `harvester up` and its ports. `mqtt_port` needs no login."""

    def __init__(self, log: Path, broker_url: str = "", mqtt_port: int = 0) -> None:
        self.web_port, self.zero_port = free_port(), free_port()
        self.mqtt_port = mqtt_port or free_port()
        self.log = log
        project = patient_project(log.parent)
        # The URL of the broker for nodes.
        self.node_url = broker_url or f"mqtt://{HOST}:{self.mqtt_port}"
        with log.open("w") as output:
            self.process = subprocess.Popen(
                [
                    *(HARVESTER[0], "--project", str(project), "up"),
                    *("--state", str(log.parent), "--broker-url", broker_url),
                    *("--web-port", str(self.web_port)),
                    *("--mqtt-port", str(self.mqtt_port), "--zero-port", str(self.zero_port)),
                ],
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        failures.watch(self, "harvester up", self.process, log)

    @property
    def page(self) -> str:
        return f"http://{HOST}:{self.web_port}/"

    def get(self, path: str, port: int = 0) -> Any:
        url = f"http://{HOST}:{port or self.web_port}/{path}"
        with urllib.request.urlopen(url, timeout=WAIT_S) as answer:
            return msgspec.json.decode(answer.read())

    def output(self) -> str:
        return self.log.read_text()

    def children(self) -> dict[str, int]:
        """Return the process id of every child, by its program and configuration name."""
        ours = {}
        for process in Path("/proc").glob("[0-9]*"):
            # A process may end while its files are read.
            with contextlib.suppress(OSError):
                parent = (process / "stat").read_text().rpartition(")")[2].split()[1]
                words = (process / "cmdline").read_bytes().decode().split("\0")
                if parent == str(self.process.pid) and "--config" in words:
                    ours[_name(words)] = int(process.name)
        return ours

    def stop(self, number: int = signal.SIGINT) -> int:
        self.process.send_signal(number)
        return self.process.wait(WAIT_S)


def _name(words: list[str]) -> str:
    config = words.index("--config")
    return f"{Path(words[config - 1]).name} {Path(words[config + 1]).stem}"


@contextlib.contextmanager
def mosquitto_for(state: Path, port: int, local_port: int) -> Iterator[str]:
    """Run Mosquitto with the accounts and access rules of the system with this `state`."""
    url = f"mqtt://{HOST}:{port}"
    hub = [
        *("--config", str(PROJECT / "config" / "hub.toml")),
        *settings(broker__url=url, storage__state_dir=state / "revpi"),
    ]
    for node in ("pi4", "pizero", DOOR):
        (state / node).mkdir(parents=True)
        enroll(hub, node, state / node / CREDENTIALS_NAME)
    with subprocess.Popen(mosquitto_for_hub(hub, state / "mosquitto", local_port)) as process:
        try:
            wait_until_listening(port)
            yield url
        finally:
            process.terminate()


def enroll(hub: list[str], node: str, output: Path) -> None:
    subprocess.run(
        [*HARVESTER, "enroll", node, "--output", str(output), *hub], check=True, capture_output=True
    )


@pytest.fixture(scope="session", params=["embedded", "mosquitto"])
def system(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[System]:
    # No test's time goes by while a program waits for a compiler.
    packed(PROJECT / "plugins")
    state = tmp_path_factory.mktemp("system")
    with contextlib.ExitStack() as stack:
        url, local_port = "", 0
        if request.param == "mosquitto":
            local_port = free_port()
            url = stack.enter_context(mosquitto_for(state, free_port(), local_port))
        else:
            enrolment.ensure(state / "revpi" / ACCOUNTS_NAME, DOOR, state / DOOR / CREDENTIALS_NAME)
        started = System(state / "up.log", url, local_port)
        try:
            yield started
        finally:
            if started.process.poll() is None:
                started.process.send_signal(signal.SIGTERM)
                started.process.wait(WAIT_S)


@pytest.fixture(scope="session")
def door(system: System) -> Iterator[Service]:
    """Run a node whose doorbell is pressed every 2 s."""
    folder = system.log.parent / DOOR
    plugins = PROJECT / "tests" / "components"
    packed(plugins)
    (folder / "presses.toml").write_text(PRESSES)
    config = folder / "spoke.toml"
    text = DOOR_TOML.format(
        node=DOOR, url=system.node_url, cache=CACHE, plugins=plugins, patient_s=PATIENT_S
    )
    config.write_text(text)
    arguments = ["--role", "spoke", "--config", str(config)]
    with Service("node_agent.cli", arguments, folder / "door.log") as running:
        yield running
        assert running.stop() == 0, running.output()


@pytest.fixture(scope="session")
def listener(system: System) -> Iterator[Listener]:
    with Listener(system.mqtt_port, connect_s=START_S) as listener:
        # Every plugin has polled once, so no test waits for a compiler.
        for sensor in ("dht22-gpio4", "bme680-0x77", "pi4-monitor"):
            listener.wait_topic(f"harvester/pi4/readings/{sensor}", START_S)
        listener.wait_topic("harvester/revpi/readings/revpi-monitor", START_S)
        listener.wait_topic("harvester/pizero/readings/pizero-monitor", START_S)
        yield listener


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chrome]:
    with chromium(tmp_path_factory.mktemp("browser"), "--window-size=1280,1000") as driver:
        yield driver
