from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest

from bus.config.config_file import load
from node_agent.hal.board import open_hardware
from node_agent.plugins.store import MAX_BYTES, PluginStore
from pizero_native import saved_air
from pizero_native.air import AirSensor
from pizero_native.saved_air import SavedAirQuality
from plugins.bme680.air_settings import AirSettings

GAS_OHM = 80_000.0
ROOM = "[air]\ntemperature_c = 21.5\nhumidity_pct = 45.0\npressure_hpa = 1000.0\ngas_kohm = 80.0"


@contextmanager
def sensor(
    tmp_path: Path, scenario: str, settings: Callable[[], AirSettings] = AirSettings
) -> Iterator[AirSensor]:
    file = tmp_path / "scenario.toml"
    file.write_text(scenario)
    config = load(
        Path("config/pizero.toml"), ["hardware.driver=simulated", f"hardware.scenario={file}"]
    )
    with closing(open_hardware(config)) as hardware:
        yield AirSensor(hardware, "0x76", PluginStore(tmp_path / "state.json"), settings)


def test_the_air_is_what_the_chip_feels(tmp_path: Path) -> None:
    with sensor(tmp_path, ROOM) as chip:
        data = chip.sample()
    assert data is not None
    assert data["temperature"] == pytest.approx(21.5, abs=0.05)
    assert data["humidity"] == pytest.approx(45.0, abs=0.2)
    assert data["pressure"] == pytest.approx(1000.0, abs=0.2)
    assert data["gas_resistance"] == pytest.approx(80.0, rel=0.01)
    assert data["iaq_accuracy"] == 0
    assert "pressure_sea_level" not in data


def test_settings_hold_from_the_next_measurement_on(tmp_path: Path) -> None:
    holds = [AirSettings()]
    with sensor(tmp_path, ROOM, lambda: holds[-1]) as chip:
        plain = chip.sample()
        holds.append(
            AirSettings(temperature_offset_c=-1.5, humidity_offset_pct=4.0, altitude_m=300.0)
        )
        found = chip.sample()
    assert plain is not None
    assert found is not None
    assert found["temperature"] == pytest.approx(plain["temperature"] - 1.5, abs=0.02)
    assert found["humidity"] == pytest.approx(plain["humidity"] + 4.0, abs=0.1)
    assert found["pressure"] == pytest.approx(1000.0, abs=0.2)
    # ISO 2533:1975: 977.73 hPa at 300 m, where sea level has 1013.25.
    assert found["pressure_sea_level"] == pytest.approx(1000.0 * 1013.25 / 977.73, abs=0.3)


def test_another_heater_calibrates_the_air_anew(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    holds = [AirSettings()]
    caplog.set_level("INFO")
    with sensor(tmp_path, ROOM, lambda: holds[-1]) as chip:
        chip.sample()
        holds.append(AirSettings(heater_c=250.0, heater_ms=100))
        data = chip.sample()
    assert data is not None
    assert "gas_resistance" in data
    assert "baseline: the heater is set to 250 degC, 100 ms" in caplog.text


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ('kind = "no-answer"', "0x76"),
        ('kind = "wrong-id"', "chip id is 0x60"),
        ('kind = "stuck-data"\nbyte = 0', "chip id is 0x00"),
        ('kind = "stuck-data"\nbyte = 255', "chip id is 0xff"),
    ],
)
def test_a_chip_that_fails_is_a_fault_and_never_a_number(
    tmp_path: Path, fault: str, reason: str
) -> None:
    with sensor(tmp_path, f'[[faults]]\ndevice = "bme680-0x76"\n{fault}\n') as chip:
        assert chip.sample() is None
        assert reason in chip.fault.reason


@pytest.mark.parametrize(
    ("register", "code", "name"),
    [
        ("0x1f", "80 00 00", "pressure"),
        ("0x25", "80 00", "humidity"),
        ("0x25", "ff ff", "humidity"),
        *(
            ("0x2a", f"{adc} {0x30 | gas_range | low:02x}", "gas")
            for adc, low in (("00", 0x00), ("ff", 0xC0))
            for gas_range in (0, 7, 15)
        ),
    ],
)
def test_a_quantity_that_was_not_measured_is_absent_and_a_fault_of_its_own(
    tmp_path: Path, register: str, code: str, name: str
) -> None:
    image = (
        '[[register_images]]\ndevice = "bme680-0x76"\n'
        f'[register_images.registers]\n"{register}" = "{code}"\n'
    )
    with sensor(tmp_path, image) as chip:
        data = chip.sample()
        assert data is not None
        assert {"temperature", "humidity", "pressure", "gas_resistance"} - data.keys() == {
            "gas_resistance" if name == "gas" else name
        }
        assert list(chip.faults) == [f"bme680-0x76 {name}"]


class Clock:
    """Time that passes when it is told to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now_s = 1000.0
        fake = SimpleNamespace(monotonic=lambda: self.now_s)
        monkeypatch.setattr(saved_air, "time", fake)


def burnt_in(store: PluginStore, clock: Clock) -> SavedAirQuality:
    quality = SavedAirQuality(store, "bme680-0x76", AirSettings())
    for _ in range(70):
        quality.update(GAS_OHM, 40.0)
        clock.now_s += 1
    return quality


def test_the_baseline_outlives_a_restart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    file = tmp_path / "state.json"
    store = PluginStore(file)
    burnt_in(store, clock)
    store.save()
    again = SavedAirQuality(PluginStore(file), "bme680-0x76", AirSettings()).update(
        GAS_OHM / 2, 40.0
    )
    assert again.accuracy >= 1
    assert again.score == pytest.approx(188, abs=2)


def test_a_baseline_of_another_heater_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = PluginStore(tmp_path / "state.json")
    burnt_in(store, Clock(monkeypatch))
    again = SavedAirQuality(store, "bme680-0x76", AirSettings(heater_c=300.0))
    assert again.update(GAS_OHM / 2, 40.0).accuracy == 0


def test_a_baseline_in_burn_in_is_not_kept(tmp_path: Path) -> None:
    store = PluginStore(tmp_path / "state.json")
    SavedAirQuality(store, "bme680-0x76", AirSettings()).update(GAS_OHM, 40.0)
    assert store.get("bme680-0x76") is None


def test_a_store_without_room_is_logged_once_and_the_index_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    store = PluginStore(tmp_path / "state.json")
    store.set("full", "x" * (MAX_BYTES - 20))
    quality = burnt_in(store, Clock(monkeypatch))
    assert caplog.text.count("keeping the baseline: fault") == 1
    assert quality.update(GAS_OHM, 40.0).score is not None
