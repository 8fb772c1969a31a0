"""An agent with a plugin that sleeps still ends when it is told to."""

from pathlib import Path

import msgspec

from bus.contract.messages import PluginState
from tests.built_components import CACHE
from tests.support import HOST, Listener, Said, Service, embedded_broker, free_port, settings

CONFIG = """
[plugins]
directory = "{directory}"
enabled = ["mischief"]
poll_deadline_s = 2.0
load_deadline_s = 60.0

[plugins.grants.mischief]
gpio = []
leds = [1]
i2c = ["0x77"]
buzzer = true
spi = true
uart = true
state = true

[polling]
interval_seconds = 0.2

[leds]
count = 2
"""


def slept(said: Said) -> bool:
    message = said.message
    return isinstance(message, PluginState) and message.error.startswith(
        "took longer than its deadline of 2 s, asleep"
    )


def test_it_ends_quickly_and_cleanly_while_a_plugin_sleeps(
    tmp_path: Path, mischief_bundle: Path
) -> None:
    state = tmp_path / "state"
    (state / "plugins").mkdir(parents=True)
    (state / "plugins" / "mischief.json").write_bytes(msgspec.json.encode({"mode": "sleep"}))
    config = tmp_path / "spoke.toml"
    config.write_text(CONFIG.format(directory=mischief_bundle.parents[1]))
    port = free_port()
    arguments = [
        *("--role", "spoke", "--simulate", "--config", str(config)),
        *settings(
            broker__url=f"mqtt://{HOST}:{port}",
            storage__cache_dir=CACHE,
            storage__state_dir=state,
        ),
    ]
    with (
        embedded_broker(port),
        Listener(port) as ears,
        Service("node_agent.cli", arguments, tmp_path / "agent.log") as service,
    ):
        ears.wait_for(slept)
        assert service.stop() == 0, service.output()
    assert "Traceback" not in service.output()
