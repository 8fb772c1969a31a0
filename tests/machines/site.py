"""Hub and two nodes with simulated chips, set up by the product's own commands."""

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path

import msgspec

from tests.machines import cache, product
from tests.machines.errors import LaboratoryError
from tests.machines.laboratory import Laboratory
from tests.machines.machine import Machine
from tests.machines.product import Count

PI4_UNIT, ZERO_UNIT = "harvester-agent@spoke", "harvester-pizero"
# A component takes half a minute of the processor to compile.
PLUGINS = ("dht22", "pi4-monitor")


class Site(msgspec.Struct):
    """The machines. `zero` runs the light service."""

    hub: Machine
    pi4: Machine
    zero: Machine

    @property
    def nodes(self) -> tuple[Machine, Machine, Machine]:
        """All machines: the hub is a node, too."""
        return self.hub, self.pi4, self.zero

    def wait_until_online(self) -> float:
        """Wait until the hub hears every node; return the seconds that it took."""
        return sum(product.wait_until_online(self.hub, node.name) for node in self.nodes)

    def counts(self) -> list[Count]:
        """Return the count of each run of each node's program."""
        return [count for node in self.nodes for count in product.streams(self.hub, node.name)]

    def wait_until_complete(self, lost: int = 0) -> None:
        """Wait until no reading is missing in the hub's history but those that a power cut took."""
        self.hub.wait_until(
            lambda: sum(count.missing for count in self.counts()) <= lost, "every reading is stored"
        )


@contextlib.contextmanager
def site(lab: Laboratory) -> Iterator[Site]:
    """Yield machines of which all are online, until the context ends."""
    with (
        lab.machine("revpi", product.HUB_ADDRESS) as hub,
        lab.machine("pi4", "192.168.7.11") as pi4,
        lab.machine("zero", "192.168.7.12") as zero,
    ):
        for machine in (hub, pi4, zero):
            product.get_program(machine)
        product.install_hub(hub)
        pi4.write("/etc/harvester/spoke.toml", _configuration("spoke", "pi4"))
        product.install_node(hub, pi4)
        zero.write("/etc/harvester/pizero.toml", _configuration("pizero", "zero"))
        product.install_node(hub, zero, "--light")
        made = Site(hub, pi4, zero)
        made.wait_until_online()
        yield made


def _configuration(role: str, node: str) -> str:
    """Return the shipped configuration with simulated chips and two plugins."""
    text = Path(cache.ROOT / "config" / f"{role}.toml").read_text()
    for pattern, value in (
        (r'^driver = ".*"', 'driver = "simulated"'),
        (r'^node_id = ".*"', f'node_id = "{node}"'),
        (r"^enabled = .*", f"enabled = {msgspec.json.encode(PLUGINS).decode()}"),
    ):
        text, found = re.subn(pattern, value, text, flags=re.MULTILINE)
        if found != 1:
            raise LaboratoryError(f"config/{role}.toml: found {found} lines {pattern}, expected 1")
    return text
