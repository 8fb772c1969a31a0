"""What the node says of its display, with the real plugin, against the simulated display itself."""

import logging
import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import msgspec
import pytest

from bus.config.settings import Config, StorageConfig
from bus.contract.description import FieldDescription, SensorDescription, SettingValue
from bus.contract.messages import Oled, Reading, encode
from bus.contract.topics import Topic, TopicKind
from node_agent.agent import Agent
from node_agent.hal.simulated.board import SimulatedBoard, open_simulated
from node_agent.sandbox.runtime import Runtime
from tests.plugins.oled.modules import layout
from tests.support import HOST, PROJECT, WAIT_S, Listener, embedded_broker, free_port

CYCLE_S = 0.2
ADDRESS = 0x3C
OLED = Topic("pi4", TopicKind.OLED)


def config_of(
    port: int, scenario: str = "", settings: dict[str, SettingValue] | None = None
) -> Config:
    return msgspec.convert(
        {
            "cluster": {"node_id": "pi4", "role": "spoke"},
            "broker": {"url": f"mqtt://{HOST}:{port}"},
            "polling": {"interval_seconds": CYCLE_S},
            "hardware": {
                "driver": "simulated",
                "ssd1306_addresses": [f"0x{ADDRESS:02x}"],
                "scenario": scenario,
            },
            "plugins": {
                "directory": str(PROJECT / "plugins"),
                "enabled": ["oled"],
                # A component that somebody has built here would have to be compiled.
                "form": "bundle",
                "grants": {"oled": {"i2c": [f"0x{ADDRESS:02x}"]}},
                "settings": {"oled": settings or {}},
            },
        },
        Config,
    )


@contextmanager
def running(config: Config, board: SimulatedBoard, runtime: Runtime, state: Path) -> Iterator[None]:
    storage = StorageConfig(state_dir=str(state))
    agent = Agent(msgspec.structs.replace(config, storage=storage), board, runtime, state)
    thread = threading.Thread(target=agent.run)
    thread.start()
    try:
        yield
    finally:
        agent.stop()
        thread.join(WAIT_S)
        assert not thread.is_alive()


def shown(board: SimulatedBoard) -> bytes:
    """Return what the simulated display shows, packed as the topic has it."""
    return bytes(
        sum(0x80 >> i for i in range(8) if row[x + i])
        for row in board.displays[ADDRESS].frame()
        for x in range(0, len(row), 8)
    )


def room(celsius: float, seq: int) -> tuple[Topic, bytes]:
    data = {"temperature": celsius, "humidity": 40.0}
    reading = Reading("garden", "sht31", 1_700_000_000_000 + seq, "s", seq, data)
    return Topic("garden", TopicKind.READING, "sht31"), encode(reading)


@pytest.mark.usefixtures("bundles")
def test_the_node_tells_what_its_display_shows(runtime: Runtime, tmp_path: Path) -> None:
    port = free_port()
    config = config_of(port)
    with ExitStack() as stack:
        board = stack.enter_context(closing(open_simulated(config)))
        with embedded_broker(port), Listener(port) as ears:
            stack.enter_context(running(config, board, runtime, tmp_path))
            told = [ears.wait_for(lambda said: said.topic == OLED).message]
            assert told[0] == Oled(128, 64, on=True, frame=shown(board))
            for seq, celsius in enumerate((21.5, 8.25)):
                before = len(ears.said)
                ears.publish(*room(celsius, seq))
                told.append(ears.wait_for(lambda said: said.topic == OLED, after=before).message)
                assert told[-1] == Oled(128, 64, on=True, frame=shown(board))
            assert len({msgspec.json.encode(message) for message in told}) == 3
            # Cycles go on without a word, since nothing changes.
            before = len(ears.said)
            for _ in range(3):
                before = 1 + ears.said.index(
                    ears.wait_topic("harvester/pi4/heartbeat", after=before)
                )
            assert [said.message for said in ears.said if said.topic == OLED] == told
        # A broker that comes back without its memory is told again.
        with embedded_broker(port), Listener(port) as ears:
            assert ears.wait_for(lambda said: said.topic == OLED).message == told[-1]


@pytest.mark.usefixtures("bundles")
def test_the_display_of_a_disabled_plugin_is_dark_and_stays_so_after_a_restart(
    runtime: Runtime, tmp_path: Path
) -> None:
    port = free_port()
    config = config_of(port)
    state = Topic("pi4", TopicKind.PLUGIN, "oled")
    dark = Oled(128, 64, on=False, frame=bytes(1024))

    def until_state(ears: Listener, wanted: str, after: int = 0) -> None:
        ears.wait_for(
            lambda said: said.topic == state and said.message.state == wanted, after=after
        )

    def command(ears: Listener, action: str) -> None:
        payload = msgspec.json.encode({"plugin": "oled", "action": action})
        ears.publish(Topic("pi4", TopicKind.COMMAND, "plugins"), payload)

    with embedded_broker(port), Listener(port) as ears:
        with (
            closing(open_simulated(config)) as board,
            running(config, board, runtime, tmp_path),
        ):
            ears.wait_for(lambda said: said.topic == OLED and said.message.on)
            command(ears, "disable")
            until_state(ears, "disabled")
            ears.wait_for(lambda said: said.topic == OLED and said.message == dark)
            assert not board.displays[ADDRESS].lit
        before = len(ears.said)
        with (
            closing(open_simulated(config)) as board,
            running(config, board, runtime, tmp_path),
        ):
            until_state(ears, "disabled", before)
            beat = 1 + ears.said.index(ears.wait_topic("harvester/pi4/heartbeat", after=before))
            ears.wait_topic("harvester/pi4/heartbeat", after=beat)
            assert not board.displays[ADDRESS].lit
            command(ears, "enable")
            until_state(ears, "running", beat)
            ears.wait_for(lambda said: said.topic == OLED and said.message.on, after=beat)


GARDEN = SensorDescription(
    "sht31",
    "Shed",
    "",
    2.0,
    {
        "temperature": FieldDescription(label="Warmth", unit="\N{DEGREE SIGN}C", decimals=1),
        "humidity": FieldDescription(label="Damp", unit="%RH", decimals=0),
    },
)
LOW_SH1106 = """
[display]
controller = "SH1106"
size = "128x32"
"""


def small(*rows: tuple[str, str, str]) -> Oled:
    """Return what a low display tells where it has these rows."""
    pages = layout.compose(32, "", [layout.Row("", *row) for row in rows])
    bits = (pages[y // 8 * 128 + x] >> y % 8 & 1 for y in range(32) for x in range(128))
    packed = int("".join(map(str, bits)), 2).to_bytes(512, "big")
    return Oled(128, 32, on=True, frame=packed)


@pytest.mark.usefixtures("bundles")
def test_the_settings_choose_the_display_and_what_is_on_it(
    runtime: Runtime, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    port = free_port()
    scenario = tmp_path / "scenario.toml"
    scenario.write_text(LOW_SH1106)
    chosen = {"controller": "SH1106", "size": "128x32", "fresh_s": 3600, "lines": "garden:*"}
    config = config_of(port, str(scenario), chosen)

    def shows(ears: Listener, wanted: Oled) -> None:
        ears.wait_for(lambda said: said.topic == OLED and said.message == wanted)

    def choose(ears: Listener, lines: str) -> None:
        command = {"plugin": "oled", "action": "set", "settings": {"lines": lines}}
        ears.publish(Topic("pi4", TopicKind.COMMAND, "plugins"), msgspec.json.encode(command))

    with (
        embedded_broker(port),
        Listener(port) as ears,
        closing(open_simulated(config)) as board,
        running(config, board, runtime, tmp_path),
    ):
        shows(ears, small(("garden:*", "--", "")))
        ears.publish(Topic("garden", TopicKind.SENSOR, "sht31"), encode(GARDEN))
        ears.publish(*room(21.5, 0))
        warmth, damp = ("Warmth", "21.5", "\N{DEGREE SIGN}C"), ("Damp", "40", "%RH")
        shows(ears, small(warmth))
        choose(ears, "pi4:nothing, garden:sht31.*")
        shows(ears, small(("pi4:nothing", "--", ""), warmth, damp))
        choose(ears, "garden:")
        automatic = small(warmth, ("iaq_score", "--", ""), ("cpu_temp", "--", ""))
        shows(ears, automatic)
        assert shown(board) == automatic.frame
    assert "setting lines: found 'garden:', expected sensors such as pi4:dht22-gpio4" in caplog.text
