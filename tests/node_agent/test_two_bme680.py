"""Two BME680 of one agent: one plugin, with settings and a name of its own for each."""

from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from bus.contract.description import SensorDescription
from bus.contract.messages import PluginState, Reading, Result
from bus.contract.topics import Topic, TopicKind
from tests.built_components import CACHE
from tests.support import HOST, Listener, Said, Service, embedded_broker, free_port

CONFIG = """
[cluster]
node_id = "pi4"
[broker]
url = "mqtt://{host}:{port}"
[polling]
interval_seconds = 0.5
[sensors]
bme680_addresses = ["0x76", "0x77"]
[names."bme680-0x76"]
title = "Living room"
[names."bme680-0x77"]
title = "Cellar"
area = "Basement"
[plugins]
directory = "{plugins}"
enabled = ["bme680"]
poll_deadline_s = 10.0
load_deadline_s = 60.0
[plugins.grants.bme680]
i2c = ["0x76", "0x77"]
leds = [2]
buzzer = true
state = true
[plugins.settings.bme680]
humidity_offset_pct = -1.0
[plugins.settings.bme680.sensors."bme680-0x76"]
temperature_offset_c = 0.5
[plugins.settings.bme680.sensors."bme680-0x77"]
temperature_offset_c = -1.5
humidity_offset_pct = 4.0
[hardware]
driver = "simulated"
scenario = "scenario.toml"
[storage]
state_dir = "state"
cache_dir = "{cache}"
"""
AIR = "[air]\ntemperature_c = 21.5\nhumidity_pct = 45.0\npressure_hpa = 1005.0\n"
LIVING_ROOM, CELLAR = "bme680-0x76", "bme680-0x77"


@pytest.fixture(scope="module")
def listener(
    bundles: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Listener]:
    """Return the ears on the bus of a running agent."""
    folder, port = tmp_path_factory.mktemp("pi4"), free_port()
    (folder / "scenario.toml").write_text(AIR)
    file = folder / "spoke.toml"
    file.write_text(
        CONFIG.format(host=HOST, port=port, cache=CACHE, plugins=bundles["bme680"].parent.parent)
    )
    arguments = ["--role", "spoke", "--config", str(file)]
    with (
        embedded_broker(port),
        Listener(port) as listener,
        Service("node_agent.cli", arguments, folder / "agent.log"),
    ):
        for sensor_id in (LIVING_ROOM, CELLAR):
            listener.wait_topic(f"harvester/pi4/readings/{sensor_id}")
        yield listener


def order(listener: Listener, sensor: str, **settings: float | None) -> Result:
    heard = len(listener.said)
    command = {"plugin": "bme680", "action": "set", "sensor": sensor, "settings": settings}
    topic = Topic("pi4", TopicKind.COMMAND, "plugins")
    listener.publish(topic, msgspec.json.encode(command))
    result = listener.wait_topic("harvester/pi4/plugins/result", after=heard).message
    assert isinstance(result, Result)
    return result


def read(sensor: str, fits: Callable[[dict[str, object]], bool]) -> Callable[[Said], bool]:
    return lambda said: (
        isinstance(said.message, Reading)
        and said.message.sensor_id == sensor
        and fits(dict(said.message.data))
    )


def described(sensor: str, fits: Callable[[SensorDescription], bool]) -> Callable[[Said], bool]:
    return lambda said: (
        isinstance(said.message, SensorDescription)
        and said.topic.name == sensor
        and fits(said.message)
    )


@pytest.mark.parametrize(
    ("sensor", "temperature_c", "humidity_pct", "name"),
    [(LIVING_ROOM, 22.0, 44.0, ("Living room", "")), (CELLAR, 20.0, 49.0, ("Cellar", "Basement"))],
)
def test_each_has_its_offsets_and_its_name(
    listener: Listener,
    sensor: str,
    temperature_c: float,
    humidity_pct: float,
    name: tuple[str, str],
) -> None:
    said = listener.wait_topic(f"harvester/pi4/readings/{sensor}").message
    assert isinstance(said, Reading)
    assert said.data["temperature"] == pytest.approx(temperature_c, abs=0.1)
    assert said.data["humidity"] == pytest.approx(humidity_pct, abs=0.3)
    listener.wait_for(described(sensor, lambda it: (it.title, it.area) == name))


def test_an_altitude_adds_the_pressure_at_sea_level_to_its_sensor_and_none_takes_it_away(
    listener: Listener,
) -> None:
    heard = len(listener.said)
    assert order(listener, CELLAR, altitude_m=500.0).ok
    listener.wait_for(
        read(CELLAR, lambda data: 1066 < float(str(data.get("pressure_sea_level", 0))) < 1068),
        after=heard,
    )
    listener.wait_for(described(CELLAR, lambda it: "pressure_sea_level" in it.fields), after=heard)
    heard = len(listener.said)
    assert order(listener, CELLAR, altitude_m=None).ok
    listener.wait_for(
        described(CELLAR, lambda it: "pressure_sea_level" not in it.fields), after=heard
    )
    others = [read(LIVING_ROOM, lambda data: "pressure_sea_level" in data)]
    assert not [said for said in listener.said for other in others if other(said)]


def test_the_bands_of_one_sensor_are_its_owners(listener: Listener) -> None:
    heard = len(listener.said)
    assert order(listener, LIVING_ROOM, poor_to=250).ok
    listener.wait_for(
        described(LIVING_ROOM, lambda it: [b.to for b in it.fields["iaq_score"].bands][3] == 250),
        after=heard,
    )
    cellar = [
        said.message.fields["iaq_score"].bands[3].to
        for said in listener.said
        if isinstance(said.message, SensorDescription)
        and said.topic.name == CELLAR
        and "iaq_score" in said.message.fields
    ]
    assert set(cellar) == {200}


def test_a_bad_value_is_refused_with_a_sentence(listener: Listener) -> None:
    refused = order(listener, CELLAR, heater_c=500.0)
    assert not refused.ok
    assert refused.error == "settings.heater_c: found 500.0, expected a number from 200 to 400"


def test_another_heater_calibrates_the_air_of_its_sensor_anew(listener: Listener) -> None:
    heard = len(listener.said)
    assert order(listener, CELLAR, heater_c=250.0).ok
    listener.wait_for(
        lambda said: (
            b"bme680-0x77: baseline: the heater is set to 250 degC, 150 ms" in said.payload
        ),
        after=heard,
    )


def test_the_state_shows_what_holds(listener: Listener) -> None:
    assert order(listener, LIVING_ROOM, led=2).ok
    found = listener.wait_for(
        lambda said: (
            isinstance(said.message, PluginState)
            and said.message.sensors.get(LIVING_ROOM, {}).get("led") == 2
        )
    ).message
    assert isinstance(found, PluginState)
    assert found.settings["humidity_offset_pct"] == -1.0
    assert found.sensors[CELLAR]["humidity_offset_pct"] == 4.0
