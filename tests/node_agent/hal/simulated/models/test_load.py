"""Loading of `simulated.py`: what is a chip, and every mistake with its file and line."""

import sys
from pathlib import Path

import pytest

from node_agent.hal.simulated.models import time_bound
from node_agent.hal.simulated.models.load import Loaded, load
from tests.support import PROJECT

LIGHT = """
class Bh1750:
    bus = "i2c"
    address = 0x23
    illuminance_lx = 300.0
    offset_lx = 1
    name = "light"
    is_dark = False
    _hidden = 3
    LIMIT = 9

    def transfer(self, write: bytes, read_length: int, now_s: float) -> bytes:
        return bytes(read_length)
"""


def loaded(folder: Path, text: str) -> Loaded:
    file = folder / "simulated.py"
    file.write_text(text)
    return load(file)


def test_a_class_with_a_bus_is_a_chip_and_its_lower_case_numbers_are_keys(tmp_path: Path) -> None:
    found = loaded(tmp_path, LIGHT)
    assert found.problems == []
    (chip,) = found.chips
    assert (chip.name, chip.bus, chip.places) == ("Bh1750", "i2c", ["0x23"])
    assert chip.keys == {"illuminance_lx": 300.0, "offset_lx": 1.0}


def test_helpers_and_what_is_imported_are_no_chips(tmp_path: Path) -> None:
    text = f"""
from dataclasses import dataclass
from fractions import Fraction

@dataclass
class Sample:
    value: int = 3

class _Base:
    bus = "spi"
    volts_v = 1.5

    def transfer(self, data, now_s):
        return data

class Adc(_Base):
    pass
{LIGHT}"""
    found = loaded(tmp_path, text)
    assert found.problems == []
    assert [chip.name for chip in found.chips] == ["Adc", "Bh1750"]
    assert found.chips[0].keys == {"volts_v": 1.5}


def test_one_class_may_be_at_several_addresses(tmp_path: Path) -> None:
    found = loaded(tmp_path, LIGHT.replace("address = 0x23", "addresses = (0x23, 0x5C)"))
    assert [chip.places for chip in found.chips] == [["0x23", "0x5c"]]


def test_loading_leaves_nothing_behind(tmp_path: Path) -> None:
    before = set(sys.modules)
    loaded(tmp_path, f"import json\n{LIGHT}")
    assert {name for name in set(sys.modules) - before if "simulated" in name} == set()
    assert [path.name for path in tmp_path.iterdir()] == ["simulated.py"]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("class Chip\n", ":1: expected ':'"),
        ("x = 1\ny = x / 0\n", ":2: ZeroDivisionError: division by zero"),
        ("\nimport driver\n", ":2: ModuleNotFoundError: No module named 'driver'; simulated.py"),
        ("x = 1\nwhile x: pass\n", ":2: TooLongError: ran for over 0.5 s without an end"),
        (f"{LIGHT}\n    def __init__(self):\n        while True: pass\n", ":2: Bh1750: cannot be"),
        ("import sys\nsys.exit(3)\n", ":2: SystemExit: 3"),
        ("x = 1\n", ": found no chip, expected a class with bus = 'i2c' or 'spi' or 'uart'"),
        ("\0", ":1: "),
        (
            LIGHT.replace('"i2c"', '"can"'),
            ":2: Bh1750: bus: found 'can', expected one of i2c, spi, uart",
        ),
        (LIGHT.replace("0x23", "0x80"), ":2: Bh1750: address: found 128, expected address = 0x23"),
        (LIGHT.replace("0x23", '"0x23"'), ":2: Bh1750: address: found '0x23', expected address"),
        (LIGHT.replace("    address = 0x23\n", ""), ":2: Bh1750: address: found None, expected"),
        (
            LIGHT.replace("address = 0x23", "addresses = (0x23, 0x23)"),
            ":2: Bh1750: address: found (35, 35), expected address",
        ),
        (
            LIGHT.replace("def transfer", "def transfers"),
            ":2: Bh1750: found no method transfer, expected transfer(self, write, read_length, now",
        ),
        (
            LIGHT.replace(", now_s: float", ""),
            ":2: Bh1750: transfer: too many positional arguments; expected transfer(self, write, r",
        ),
        (
            f"{LIGHT}\n    def __init__(self, address):\n        pass\n",
            ":2: Bh1750: cannot be made without arguments: ",
        ),
        (
            'class Gps:\n    bus = "uart"\n    baud = "fast"\n    def read(self, now_s): ...\n',
            ":1: Gps: baud: found 'fast', expected bits per second, such as 9600",
        ),
    ],
)
def test_a_mistake_is_one_line_with_file_line_and_reason(
    tmp_path: Path, text: str, problem: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time_bound, "LONGEST_S", 0.5)
    found = loaded(tmp_path, text)
    assert found.chips == []
    (line,) = found.problems
    assert line.startswith(f"{tmp_path / 'simulated.py'}{problem}")
    assert "\n" not in line


def test_a_mistake_costs_its_own_chip_only(tmp_path: Path) -> None:
    second = LIGHT.replace("Bh1750", "Other").replace("0x23", "None")
    found = loaded(tmp_path, LIGHT + second)
    assert [chip.name for chip in found.chips] == ["Bh1750"]
    assert [line.split(": ")[1] for line in found.problems] == ["Other"]


@pytest.mark.parametrize("example", ["sht31", "mcp3008", "gps"])
def test_the_examples_chips_load(example: str) -> None:
    found = load(PROJECT / "examples" / example / "simulated.py")
    assert found.problems == []
    assert len(found.chips) == 1
    assert found.chips[0].keys
