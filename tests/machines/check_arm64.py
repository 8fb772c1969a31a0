"""The product on aarch64, emulated: its wheels, its imports, and a node with a hub over TLS.

`make test-arm64` runs it, some ten minutes on two cores.
"""

import json
import shlex
import shutil
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.machines import cache, commands
from tests.machines.emulated import Emulated, emulated
from tests.machines.machine import WHEELS
from tests.support import HOST, Service, free_port, settings

PROGRAMS = "/opt/v/bin"
# Bytecode from here: the compiler takes minutes under the emulator.
PLUGINS = ("dht22", "pi4-monitor")
SENSORS = {"pi4:dht22-gpio4", "pi4:pi4-monitor"}
HARVESTER = (str(Path(sys.executable).with_name("harvester")),)
# The emulator and a busy machine.
ONLINE_S = 600.0
_IMPORTS = """
import importlib, os, pkgutil
os.environ.update(BLINKA_FORCEBOARD="RASPBERRY_PI_4B", BLINKA_FORCECHIP="BCM2XXX")
names = ["adafruit_dht", "board", "gpiod", "rpi_ws281x", "serial", "smbus2", "spidev"]
for name in ("bus", "broker", "harvester", "hub_app", "node_agent", "pizero_native"):
    package = importlib.import_module(name)
    names += [found.name for found in pkgutil.walk_packages(package.__path__, f"{name}.")]
# Guests' modules, an extra of its own, and programs.
left_out = ("builder.guest.", "formats.parquet", "__main__")
for name in names:
    if not any(part in name for part in left_out):
        importlib.import_module(name)
print(len(names))
"""


@pytest.fixture(scope="module")
def pi() -> Iterator[Emulated]:
    with emulated() as made:
        words = f"--quiet --disable-pip-version-check --no-index --find-links {WHEELS}"
        # What has no wheel is compiled, as on a Raspberry Pi.
        made.run(
            f"python3 -m venv /opt/v && "
            f"{PROGRAMS}/pip install {words} 'harvester-edge[hub,pi,fleet]'"
        )
        yield made


def test_every_module_and_each_library_of_the_drivers_imports(pi: Emulated) -> None:
    (pi.home / "imports.py").write_text(_IMPORTS)
    assert int(pi.run(f"cd / && {PROGRAMS}/python /root/imports.py")) > 100


@pytest.mark.parametrize(
    ("program", "role"),
    [("node-agent --role spoke", "spoke"), ("pizero-native", "pizero"), ("hub-app", "hub")],
)
def test_the_shipped_configurations_are_right(pi: Emulated, program: str, role: str) -> None:
    (pi.home / f"{role}.toml").write_text((cache.ROOT / "config" / f"{role}.toml").read_text())
    assert "[cluster]" in pi.run(f"{PROGRAMS}/{program} --config /root/{role}.toml --check")


def test_a_node_measures_for_a_hub_over_tls(pi: Emulated, tmp_path: Path) -> None:
    ports = {"web__port": free_port(), "broker__port": free_port(), "broker__tls_port": free_port()}
    hub = settings(cluster__role="hub", storage__state_dir=tmp_path / "state", **ports)
    commands.run(*HARVESTER, "tls", "init", "--name", HOST, *hub)
    login = str(pi.home / "credentials.toml")
    commands.run(*HARVESTER, "enroll", "pi4", "--host", HOST, "--output", login, *hub)
    copy_plugins(pi.home / "plugins")
    node = settings(
        cluster__node_id="pi4",
        broker__credentials_file="/root/credentials.toml",
        plugins__enabled=json.dumps(PLUGINS),
        plugins__directory="/root/plugins",
        plugins__target="pulley64",
        storage__state_dir="/root/state",
    )
    agent = f"{PROGRAMS}/node-agent --role spoke --config /root/spoke.toml --simulate"
    with (
        Service("hub_app", hub, tmp_path / "hub.log"),
        pi.background(f"{agent} {shlex.join(node)}", tmp_path / "node.log"),
    ):
        wait_until(lambda: sensors(ports["web__port"]) >= SENSORS, ONLINE_S)
    text = (tmp_path / "node.log").read_text()
    assert f"connected to the broker at {HOST}:{ports['broker__tls_port']}" in text


def copy_plugins(folder: Path) -> None:
    for name in PLUGINS:
        target = folder / name
        target.mkdir(parents=True)
        shutil.copy(cache.ROOT / "plugins" / name / f"{name}.wasm", target)
        words = ("plugins", "compile", "--target", "pulley64", "--output", str(target), name)
        commands.run(*HARVESTER, *words, timeout_s=ONLINE_S)


def sensors(port: int) -> set[str]:
    """Return the sensors of which the hub has readings; none while it does not answer."""
    try:
        with urllib.request.urlopen(f"http://{HOST}:{port}/api/readings") as answer:
            return {reading["sensor_id"] for reading in json.load(answer)["readings"]}
    except (urllib.error.URLError, ConnectionError):
        return set()


def wait_until(is_so: Callable[[], bool], timeout_s: float) -> None:
    deadline_s, pause = time.monotonic() + timeout_s, threading.Event()
    while not is_so():
        assert time.monotonic() < deadline_s, f"not so within {timeout_s:g} s"
        pause.wait(0.5)
