"""Agent that runs every example, configured by its file alone."""

from collections.abc import Iterator

import pytest

from tests.built_components import CACHE, packed
from tests.support import HOST, PROJECT, Listener, Service, embedded_broker, free_port
from tests.triggered.clock import JUMP_S, TRIGGER

EXAMPLES = PROJECT / "examples"
CONFIG = """
[cluster]
node_id = "shed"

[broker]
url = "mqtt://{host}:{port}"

[polling]
interval_seconds = 0.3

[plugins]
directory = "{examples}"
enabled = ["sht31", "gps", "mcp3008"]
poll_deadline_s = 30
load_deadline_s = 30

[plugins.grants.sht31]
i2c = ["0x44"]

[plugins.grants.gps]
uart = true

[plugins.grants.mcp3008]
spi = true

[hardware]
driver = "simulated"
scenario = "{scenario}"

[storage]
state_dir = "{state}"
cache_dir = "{cache}"
"""
SCENARIO = f"""
[chips.sht31]
temperature_c = 23.4
humidity_pct = 56.7

[chips.mcp3008]
input_0_v = {{ keyframes = [[0, 1.1], [3, 1.1], [3.01, 3.0], [6, 3.0]], loop = true }}
input_1_v = 2.2

[[faults]]
kind = "bit-errors"
device = "sht31"
from_s = {JUMP_S}
until_s = {2 * JUMP_S}
rate = 1
"""


@pytest.fixture(scope="session")
def packed_examples() -> list[str]:
    """Pack what changed, so that an agent starts at once; return the names."""
    return list(packed(EXAMPLES))


class Shed(Listener):
    """Ears on a node that has one of each; the SHT31 has its fault after the first `trigger`."""

    def __init__(self, port: int) -> None:
        super().__init__(port)
        self.agent: Service

    def trigger(self) -> None:
        """Let the fault begin, and the next time end."""
        self.agent.process.send_signal(TRIGGER)


@pytest.fixture(scope="module")
def shed(packed_examples: list[str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shed]:
    """Return ears on a node that has one of each."""
    directory = tmp_path_factory.mktemp("shed")
    port = free_port()
    scenario, config = directory / "scenario.toml", directory / "node.toml"
    scenario.write_text(SCENARIO)
    config.write_text(
        CONFIG.format(
            host=HOST,
            port=port,
            examples=EXAMPLES,
            scenario=scenario,
            state=directory / "state",
            cache=CACHE,
        )
    )
    arguments = ["--role", "spoke", "--config", str(config)]
    with (
        embedded_broker(port),
        Shed(port) as ears,
        Service("tests.triggered.agent", arguments, directory / "agent.log") as ears.agent,
    ):
        yield ears
