"""The heat wave scenario in a real agent with real plugins."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest

from bus.contract.messages import Buzzer, Leds
from bus.contract.topics import Topic, TopicKind
from tests.built_components import CACHE, packed
from tests.support import (
    HOST,
    PATIENT_S,
    PROJECT,
    Listener,
    Said,
    Service,
    embedded_broker,
    free_port,
    settings,
)

SCENARIO = """
title = "Heat wave in fast motion"

[room.temperature_c]
keyframes = [[0, 24.0], [1, 24.0], [4, 33.0]]
noise = 0.3
"""
MILD = "[room]\ntemperature_c = 24.0\n"
RED, GREEN, BLACK = "#ff0000", "#00ff00", "#000000"


@contextmanager
def running(tmp_path: Path, playing: str) -> Iterator[tuple[Service, Listener, Path]]:
    packed(PROJECT / "plugins")
    port = free_port()
    scenario = tmp_path / "scenario.toml"
    scenario.write_text(playing)
    record = tmp_path / "record.jsonl"
    arguments = [
        *("--role", "spoke", "--simulate", "--config", "config/spoke.toml"),
        *settings(
            broker__url=f"mqtt://{HOST}:{port}",
            polling__interval_seconds=0.5,
            plugins__poll_deadline_s=PATIENT_S,
            plugins__load_deadline_s=PATIENT_S,
            plugins__enabled='["dht22"]',
            plugins__form="bundle",
            hardware__scenario=scenario,
            hardware__record_file=record,
            storage__state_dir=tmp_path / "state",
            storage__cache_dir=CACHE,
        ),
    ]
    with (
        embedded_broker(port),
        Listener(port) as listener,
        Service("node_agent.cli", arguments, tmp_path / "agent.log") as service,
    ):
        yield service, listener, record


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[tuple[Service, Listener, Path]]:
    with running(tmp_path, SCENARIO) as started:
        yield started


@pytest.fixture
def mild_agent(tmp_path: Path) -> Iterator[tuple[Service, Listener, Path]]:
    with running(tmp_path, MILD) as started:
        yield started


def test_a_heat_wave_turns_led_1_red_and_beeps_three_times_once(
    agent: tuple[Service, Listener, Path],
) -> None:
    service, listener, record = agent
    listener.wait_for(lambda said: pixels(said)[1:2] == [RED])
    first = len(listener.said)
    # After several more cycles there is still one alarm.
    for cycle in range(6):
        listener.wait_for(lambda said: bool(pixels(said)), after=first + cycle)
    alarms = [s for s in listener.said if isinstance(s.message, Buzzer) and s.message.sounding]
    assert len(alarms) == 1
    assert service.stop() == 0
    events = [msgspec.json.decode(line) for line in record.read_text().splitlines()]
    closed = [e for e in events if e["event"] == "relay" and e["relay"] == "buzzer" and e["on"]]
    assert len(closed) == 3


def test_a_stopped_agent_leaves_everything_dark_and_released(
    mild_agent: tuple[Service, Listener, Path],
) -> None:
    service, listener, record = mild_agent
    listener.wait_for(lambda said: pixels(said)[1:2] == [GREEN])
    listener.publish(Topic("pi4", TopicKind.COMMAND, "fan"), b"on")
    listener.publish(
        Topic("pi4", TopicKind.COMMAND, "buzzer"), b'{"count": 20, "duration_ms": 9000}'
    )
    listener.wait_for(lambda said: isinstance(said.message, Buzzer) and said.message.sounding)
    before = len(listener.said)
    assert service.stop() == 0
    listener.wait_for(lambda said: set(pixels(said)) == {BLACK}, after=before)
    listener.wait_for(lambda said: b'"offline"' in said.payload)
    events = [msgspec.json.decode(line) for line in record.read_text().splitlines()]
    last_leds = [event for event in events if event["event"] == "leds"][-1]
    assert set(last_leds["pixels"]) == {"#000000"}
    relays = {event["relay"]: event["on"] for event in events if event["event"] == "relay"}
    assert relays == {"buzzer": False, "fan": False}


def pixels(said: Said) -> list[str]:
    return said.message.pixels if isinstance(said.message, Leds) else []
