"""Trying and examining a plugin: real plugins in the real sandbox, only hardware simulated."""

import re
from pathlib import Path

import pytest

from harvester.cli import main
from harvester.plugins import trial
from harvester.plugins.replay.trace import HostCall, Use, grants_used, traced
from harvester.plugins.source import PluginSource, read
from node_agent.sandbox.instance import Err


def harvester(project: Path, *arguments: str) -> int:
    """Run a command; return its exit code."""
    try:
        main(["--project", str(project), "plugins", *arguments])
    except SystemExit as e:
        return int(e.code or 0)
    return 0


def test_every_call_to_the_host_is_told_with_its_result_and_its_time(
    author_project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ("--grant-all", "--polls", "2", "--interval", "0.1")
    assert harvester(author_project, "test", "my-i2c", *options) == 0
    lines = capsys.readouterr().out.splitlines()
    calls = [line.split(maxsplit=1)[1] for line in lines if line.startswith("  call ")]
    assert calls[0].startswith("i2c.transfer(0x44, '2400', 0) -> ''")
    assert calls[2].startswith("led_controller.set_led(4, 0, 255, 0)")
    assert all(call.endswith(" ms") for call in calls)
    assert len(calls) == 8
    assert lines.count("  led      4 #00ff00") == 1
    assert lines[-3:] == ["[plugins.grants.my-i2c]", "leds = [4]", 'i2c = ["0x44"]']


def test_a_plugin_without_its_grants_is_told_the_lines_to_add(
    author_project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert harvester(author_project, "test", "my-spi") == 1
    assert capsys.readouterr().err == (
        "not granted: add leds = [its LEDs], spi = true to [plugins.grants.my-spi], "
        "since it imports led-controller, spi; or try it with --grant-all\n"
    )


def test_the_grants_of_the_configuration_hold(
    author_project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "node.toml"
    config.write_text('[leds]\ncount = 8\n[plugins.grants.my-i2c]\ni2c = ["0x45"]\nleds = [2]\n')
    options = ("--config", str(config), "--polls", "1")
    assert harvester(author_project, "test", "my-i2c", *options) == 1
    printed = capsys.readouterr().out
    assert '  err      not granted: add i2c = ["0x44"] to [plugins.grants.my-i2c]' in printed
    assert "  host     plugin my-i2c: not granted: add leds = [4] to" in printed
    assert printed.endswith("my-i2c failed: no reading\n")


@pytest.fixture
def described(tmp_path: Path) -> PluginSource:
    """Return a plugin that describes illuminance and noise, and simulates one chip."""
    folder = tmp_path / "light"
    folder.mkdir()
    (folder / "plugin.toml").write_text(
        'world = "sensor-plugin"\n[fields.illuminance]\nunit = "lx"\n[fields.noise]\n'
    )
    (folder / "simulated.py").write_text(
        'class Bh1750:\n    bus = "i2c"\n    address = 0x23\n\n'
        '    def transfer(self, write, read_length, now_s):\n        return b""\n'
    )
    return read(folder)


def test_a_value_under_another_name_than_the_described_one_is_told_with_the_line(
    described: PluginSource,
) -> None:
    path = described.directory / "plugin.toml"
    assert list(trial.differences(described, ["iluminance", "noise"])) == [
        f"{path}: has no [fields.iluminance], which is in a reading; did you mean 'illuminance'?",
        f"{path}:2: fields.illuminance: is in no reading so far",
    ]
    assert list(trial.differences(described, ["noise", "illuminance"])) == []


def test_a_plugin_without_a_reading_is_told_where_its_simulated_chips_are(
    described: PluginSource,
) -> None:
    assert trial.own_chips(described) == "Bh1750 at i2c 0x23"
    described.simulation.unlink()
    assert trial.own_chips(described) == ""


def test_a_scenario_may_break_the_sensor(
    author_project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scenario = tmp_path / "scenario.toml"
    scenario.write_text('[[faults]]\nkind = "no-answer"\ndevice = "dht22"\n')
    options = ("--grant-all", "--polls", "1", "--scenario", str(scenario))
    assert harvester(author_project, "test", "my-gpio", *options) == 1
    printed = capsys.readouterr().out
    assert "read_dht22(4) -> err 'no answer" in printed
    assert "  led      4 #ff00ff" in printed


def test_a_key_of_the_scenario_is_what_the_plugins_own_chip_measures(
    author_project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ("--grant-all", "--polls", "1", "--scenario", "light_v=0.5")
    options += ("--scenario", "chips.my-spi.knob_v=3.0")
    assert harvester(author_project, "test", "my-spi", *options) == 0
    reading = re.search(r"light_voltage ([\d.]+), knob_voltage ([\d.]+)", capsys.readouterr().out)
    assert reading is not None
    # One step of 10 bits is 3.2 mV.
    assert [float(volts) for volts in reading.groups()] == pytest.approx([0.5, 3.0], abs=0.0033)


@pytest.mark.parametrize(
    ("options", "mistake"),
    [
        (
            ("--scenario", "light=1"),
            "scenario: chips.my-spi.light: found an unknown key, expected one of knob_v, light_v, ",
        ),
        (("--scenario", "light_v=dark"), "scenario: chips.my-spi.light_v: found 'dark', expected "),
        (("--scenario", "a.toml", "--scenario", "b.toml"), "--scenario: found a.toml, b.toml, exp"),
    ],
)
def test_a_scenario_that_cannot_be_played_is_refused(
    author_project: Path,
    options: tuple[str, ...],
    mistake: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert harvester(author_project, "test", "my-spi", "--grant-all", *options) == 2
    said = capsys.readouterr().err
    assert said.startswith(mistake)
    assert said.count("\n") == 1


def test_a_mistake_in_the_simulated_chip_is_named_with_its_line_and_is_no_answer(
    author_project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = author_project / "plugins" / "my-spi" / "simulated.py"
    good = file.read_text()
    line = good[: good.index('return b"')].count("\n") + 1
    file.write_text(good.replace('return b"', 'raise KeyError(code)\n        return b"'))
    try:
        assert harvester(author_project, "test", "my-spi", "--grant-all", "--polls", "2") == 1
    finally:
        file.write_text(good)
    printed = capsys.readouterr().out
    mistake = f"{file}:{line}: KeyError: 806"
    assert printed.count(f"  host     {mistake}; the simulated chip") == 1
    assert printed.count(f"  err      no answer at spi 0.0: {mistake}") == 2


def test_a_simulated_chip_tells_its_place_and_its_keys(
    author_project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = author_project / "plugins" / "my-i2c" / "simulated.py"
    assert harvester(author_project, "inspect", str(file)) == 0
    assert capsys.readouterr().out == (
        f"{file}\n  Sht31: i2c 0x44\n    temperature_c = 21\n    humidity_pct = 45\n"
    )
    packed = file.with_name("my-i2c.bundle")
    assert harvester(author_project, "inspect", str(packed)) == 0
    assert f"  chip     simulated by {file}\n" in capsys.readouterr().out


def test_a_plugin_that_goes_wrong_fails_with_its_own_traceback(
    author_project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ("--grant-all", "--polls", "5", "--interval", "0.1")
    assert harvester(author_project, "test", "faulty", *options) == 1
    printed = capsys.readouterr().out
    folder = author_project / "plugins" / "faulty"
    assert "  print    poll number 1" in printed
    assert "  buzzer   sounds" in printed
    assert "  reading  faulty: resistance 2.5" in printed
    assert "  WRONG    sensor id 'no name': expected a-z, 0-9 and dashes" in printed
    assert (
        "  print    sensor 'no name': sensor_id: found no name, expected a-z, 0-9 and dashes "
        "(app.py:16)" in printed
    )
    assert "poll 4" not in printed
    assert printed.endswith(
        "Traceback (most recent call last):\n"
        f'  File "{folder / "app.py"}", line 15, in poll\n'
        '    values = [("resistance", resistance(3 - count))]\n'
        "                             ~~~~~~~~~~^^^^^^^^^^^\n"
        f'  File "{folder / "driver.py"}", line 2, in resistance\n'
        "    return 5 / ampere\n"
        "           ~~^~~~~~~~\n"
        "ZeroDivisionError: division by zero\n"
        "faulty failed: ZeroDivisionError: division by zero (driver.py:2)\n"
    )


@pytest.mark.parametrize(
    "options", [("--polls", "0"), ("--interval", "0"), ("--interval", "nan"), ("--polls", "-1")]
)
def test_a_number_that_makes_no_sense_is_refused(
    author_project: Path, options: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert harvester(author_project, "test", "my-i2c", *options) == 2
    assert f"found '{options[1]}', expected" in capsys.readouterr().err


def test_a_bundle_tells_what_it_is_and_needs(
    author_project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = author_project / "plugins" / "my-i2c" / "my-i2c.bundle"
    assert harvester(author_project, "inspect", str(file)) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == str(file)
    found = {line[2:11].strip(): line[11:] for line in lines[1:] if line[2:11].strip()}
    assert found["size"].endswith(f"{file.stat().st_size} bytes")
    assert len(found["sha256"]) == 64
    assert found["exports"] == "sensor-logic: poll"
    assert "           i2c: transfer" in lines
    assert "interfaces of cli, clocks" in found["wasi"]
    assert found["grants"] == "[plugins.grants.my-i2c]"
    assert '           i2c = ["0x44"]' in lines
    assert "           leds = [4]" in lines
    assert "           spi = true" not in lines


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"", "found an empty file"),
        (b"[plugins]\n", "found no WebAssembly"),
        (b"\0asm\x01\0\0\0", "found a core module"),
        (b"\0asm\x0e\0\x01\0", "found WebAssembly version 0e 00 01 00"),
        (b"\0asm\x0d\0\x01\0", "exports nothing"),
        (b"\0asm\x0d\0\x01\0\x00\x09trunc", "not a component that this host can compile"),
    ],
)
def test_what_is_no_component_of_ours_is_one_line(
    tmp_path: Path, content: bytes, found: str, capsys: pytest.CaptureFixture[str]
) -> None:
    wasm = tmp_path / "x.wasm"
    wasm.write_bytes(content)
    assert harvester(tmp_path, "inspect", str(wasm)) == 1
    said = capsys.readouterr().err
    assert said.startswith(f"{wasm}: {found}")
    assert said.count("\n") == 1


def test_a_file_that_is_not_there_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for path, reason in ((tmp_path / "x.wasm", "No such file"), (tmp_path, "Is a directory")):
        assert harvester(tmp_path, "inspect", str(path)) == 1
        said = capsys.readouterr().err
        assert said.startswith(f"{path}: {reason}")
        assert said.count("\n") == 1


def test_a_call_reads_as_the_author_wrote_it() -> None:
    def call(interface: str, function: str, arguments: tuple[object, ...], result: object) -> str:
        return str(HostCall(interface, function, arguments, result, 0.0))

    assert call("plugin-state", "set", ("a", "1"), None) == "plugin_state.set('a', '1')"
    assert call("i2c", "transfer", (5, "d0", 1), Err("away")) == (
        "i2c.transfer(0x05, 'd0', 1) -> err 'away'"
    )
    assert call("spi", "transfer", (b"\x01\x80",), b"ok\n") == (
        "spi.transfer(hex 01 80) -> b'ok\\n'"
    )
    assert call("uart", "read", (9,), b"a" * 99).endswith("a ...")


def test_a_traced_function_returns_what_the_host_returned() -> None:
    heard: list[HostCall] = []
    imports = traced({"system-info": {"get-uptime": lambda: 7}}, heard.append)
    assert imports["system-info"]["get-uptime"]() == 7
    assert [(call.function, call.result) for call in heard] == [("get-uptime", 7)]


def test_pins_and_readings_that_were_used_become_grants() -> None:
    used = {
        Use("gpio", "set-input", 17),
        Use("gpio", "read", 17),
        Use("gpio", "write", 22),
        Use("readings", "latest", "attic:outdoor"),
        HostCall("events", "publish", ("bell", "pressed", "{}"), None, 0.0).use,
    }
    needed = {
        "inputs": "inputs = [17]",
        "readings": 'readings = ["pi4:dht22-gpio4"]',
        "events": "events = true",
    }
    assert grants_used(used, needed) == [
        *("inputs = [17]", 'readings = ["attic:outdoor"]', "events = true"),
        'outputs = [{ pin = 22, safe = "low" }]',
    ]
    assert grants_used({Use("gpio", "write", 22)}, {"inputs": "inputs = [17]"}) == [
        'outputs = [{ pin = 22, safe = "low" }]'
    ]


def test_the_grants_that_were_used_have_the_plugins_own_numbers() -> None:
    used = {
        Use("i2c", "transfer", 0x44),
        Use("i2c", "transfer", 0x45),
        Use("led-controller", "set-two", 0),
        Use("gpio-provider", "read-dht22", 4),
    }
    needed = {"leds": "leds = [1]", "i2c": 'i2c = ["0x77"]', "buzzer": "buzzer = true"}
    assert grants_used(used, needed) == [
        *("leds = [0, 1]", 'i2c = ["0x44", "0x45"]', "buzzer = true"),
        "gpio = [4]",
    ]
