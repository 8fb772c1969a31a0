"""The product on a machine of the laboratory: installed, asked and joined as a person does it."""

import json
import shlex
from typing import Any

import msgspec

from tests.machines.machine import WHEELS, Machine

# Of a person who has just installed it with pipx.
FRESH = "/root/.local/bin/harvester"
HUB_ADDRESS = "192.168.7.10"
PAGE = f"http://{HUB_ADDRESS}:3000"
_INSTALL_S = 600
# Compiling a component takes half a minute where other things run, too.
PATIENT_S = 180.0


def get_program(machine: Machine) -> None:
    """Install the wheel for root with pipx."""
    machine.run("pipx install 'harvester-edge[hub,pi]'", _INSTALL_S)


def install_hub(machine: Machine) -> str:
    """Make a machine with the program the hub; return what was printed."""
    return machine.run(f"{FRESH} install hub", _INSTALL_S)


def install_node(hub: Machine, machine: Machine, *options: str) -> str:
    """Enroll a machine with the program at the hub, and make it a node."""
    hub.run(f"cd /root && harvester enroll {machine.name}")
    text = hub.path(f"/root/credentials-{machine.name}.toml").read_text()
    machine.write("/root/credentials.toml", text, mode=0o600)
    words = (FRESH, "install", "node", "--credentials", "/root/credentials.toml", *options)
    return machine.run(" ".join(words), _INSTALL_S)


def health(hub: Machine) -> dict[str, Any]:
    """Return what the hub says of itself."""
    found: dict[str, Any] = json.loads(hub.run(f"curl -sf {PAGE}/health"))
    return found


def presence(hub: Machine, node: str) -> str:
    """Return the presence of a node, empty where the hub does not know it."""
    return str(_node(hub, node).get("presence", ""))


def run(hub: Machine, node: str) -> str:
    """Return the run of its program of which a node told, empty where the hub knows none."""
    status = _node(hub, node).get("status") or {}
    return str(status.get("boot_id", ""))


def _node(hub: Machine, node: str) -> dict[str, Any]:
    code, text = hub.attempt(f"curl -sf {PAGE}/api/nodes")
    nodes: list[dict[str, Any]] = json.loads(text)["nodes"] if code == 0 else []
    return next((each for each in nodes if each["node"] == node), {})


def wait_until_online(hub: Machine, node: str) -> float:
    """Wait until the hub hears a node; return the seconds that it took."""
    return hub.wait_until(lambda: presence(hub, node) == "online", f"{node} is online", PATIENT_S)


class Count(msgspec.Struct, frozen=True):
    """Readings in the hub's history; `missing` are holes in their numbers."""

    stored: int
    missing: int


def streams(hub: Machine, node: str) -> list[Count]:
    """Return the count of each run of a node's program."""
    hub.write("/root/count.py", _COUNT)
    rows: list[list[int]] = json.loads(hub.run(f"python3 /root/count.py {node}"))
    # A stream's first reading is its number 0.
    return [Count(number, last + 1 - number) for number, last in rows]


def count(hub: Machine, node: str) -> Count:
    """Return how many readings the hub has stored of a node, and how many it has not."""
    found = streams(hub, node)
    return Count(sum(each.stored for each in found), sum(each.missing for each in found))


# For each stream of a node: readings, and the last number. The hub's own sensors begin with "_".
_COUNT = """
import glob, json, os, sqlite3, sys
path = glob.glob("/var/lib/harvester-hub/*/history.db")[0]
# Without a hub that runs, nobody changes it, and SQLite must make no files beside it.
how = "mode=ro" if os.path.exists(f"{path}-shm") else "immutable=1"
db = sqlite3.connect(f"file:{path}?{how}", uri=True, timeout=30)
print(json.dumps(db.execute(
    "SELECT count(DISTINCT seq), max(seq) FROM readings "
    "WHERE node = ? AND substr(sensor, 1, 1) <> '_' GROUP BY stream", sys.argv[1:]
).fetchall()))
"""


def properties(machine: Machine, unit: str) -> dict[str, str]:
    """Return what systemd says of a unit."""
    lines = machine.run(f"systemctl show {unit}").splitlines()
    return dict(line.split("=", 1) for line in lines if "=" in line)


def leave_without_packages(machine: Machine) -> None:
    """Make a machine one that has what its Debian has, and no way to other packages."""
    machine.run(f"rm /etc/pip.conf && umount {WHEELS}")


def join_line(hub: Machine, node: str, options: str = "") -> str:
    """Return the line of a join code for a new node."""
    text = hub.run(f"harvester join-code {node} {options}")
    return next(line.strip() for line in text.splitlines() if line.strip().startswith("curl "))


def join(machine: Machine, line: str) -> tuple[int, str]:
    """Run the line of a join; return its exit code and all that it printed.

    A curl that fails fails the line: the shell behind it succeeds, as its script is empty.
    """
    return machine.attempt(f"bash -o pipefail -c {shlex.quote(line)}", _INSTALL_S)
