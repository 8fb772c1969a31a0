"""`plugin.toml`: what an author says is read whole, and a mistake names its file and line."""

from pathlib import Path

import pytest

from bus.contract.description import Band, FieldDescription, SettingDescription
from bus.errors import MisconfiguredError
from harvester.plugins import manifest
from tests.support import PROJECT

LIGHT = """world = "sensor-plugin"
title = "Light"
version = "1.2.0"
author = "someone@example.org"

[fields.illuminance]
label = "Illuminance"
unit = "lx"
quantity = "illuminance"
decimals = 0
range = [0, 65535]
bands = [{ to = 50, word = "dark", tone = "muted" }, { word = "bright" }]

[settings.dark_below]
label = "Dark below"
type = "number"
default = 20
min = 0
max = 1000
unit = "lx"
"""


def read(directory: Path, text: str) -> manifest.Manifest:
    path = directory / "plugin.toml"
    path.write_text(text, encoding="utf-8")
    return manifest.read(path)


def test_the_description_is_what_the_author_said(tmp_path: Path) -> None:
    said = read(tmp_path, LIGHT).description
    assert (said.title, said.version, said.author) == ("Light", "1.2.0", "someone@example.org")
    assert said.fields == {
        "illuminance": FieldDescription(
            label="Illuminance",
            unit="lx",
            quantity="illuminance",
            decimals=0,
            range=(0, 65535),
            bands=[Band(50, "dark", "muted"), Band(None, "bright")],
        )
    }
    assert said.settings == {
        "dark_below": SettingDescription("number", 20, "Dark below", "lx", 0, 1000)
    }


MISTAKES = [
    ('unit = "lx"\nq', "unit = 3\nq", 8, "fields.illuminance.unit: found 3, expected a string"),
    ('label = "Illum', 'lable = "Illum', 7, "fields.illuminance.lable: found an unknown key"),
    (
        '"muted"',
        '"purple"',
        12,
        "fields.illuminance.bands[0].tone: found 'purple', expected one of",
    ),
    ('word = "dark"', 'wrd = "dark"', 12, "bands[0].wrd: found an unknown key"),
    ('= "illuminance"', '= "iluminance"', 9, "did you mean 'illuminance'?"),
    ('"lx"\nq', '"lux"\nq', 8, "unit: found 'lux', expected a unit of illuminance in Home Assist"),
    ("[0, 65535]", "[9, 1]", 11, "found [9, 1], expected the least value, then the greatest"),
    ('{ word = "bright" }', "{ to = 5 }", 12, "bands[1].to: found 5, expected a number above 50"),
    ("to = 50, ", "", 12, "bands[0].to: found nothing, expected a number in each but the last"),
    ("decimals = 0", 'bar = "level"', 10, "bar: found 'level', expected one of illuminance"),
    ("decimals = 0", "bar = 0", 10, "bar: found 0, expected a number above 0"),
    ("decimals = 0", 'pending = "x"', 10, "pending: found 'x', expected one of illuminance"),
    ("fields.illuminance", "fields.light-level", 6, "expected 'light_level', as in a reading"),
    ("default = 20", "default = 2000", 17, "default: found 2000, expected a number from 0 to 1000"),
    ("default = 20", 'default = "20"', 17, "default: found '20', expected a number from 0 to 1000"),
    ("default = 20", "default = true", 17, "default: found true, expected a number from 0 to 1000"),
    ("default = 20\n", "", 14, "settings.dark_below.default: found nothing"),
    ("max = 1000", "max = -1", 19, "max: found -1, expected at least min = 0"),
    ('"number"', '"text"', 16, 'type: found "text" with bounds, expected "number" or "integer"'),
    ('"number"', '"choice"', 14, "choices: found none, expected at least one"),
    ('"number"', '"decimal"', 16, "type: found 'decimal', expected one of choice, integer, number"),
    ('title = "Light"', 'title = "Light"\ncolour = 2', 3, "colour: found an unknown key"),
]


@pytest.mark.parametrize(("old", "new", "line", "sentence"), MISTAKES)
def test_a_mistake_is_named_with_file_and_line(
    tmp_path: Path, old: str, new: str, line: int, sentence: str
) -> None:
    assert old in LIGHT
    with pytest.raises(MisconfiguredError) as raised:
        read(tmp_path, LIGHT.replace(old, new))
    assert str(raised.value).startswith(f"{tmp_path / 'plugin.toml'}:{line}: ")
    assert sentence in str(raised.value)
    assert "\n" not in str(raised.value)


ROOM = """world = "sensor-plugin"

[fields.temperature]
bands = [
    { to = "warm_c", word = "ok", tone = "good" },
    { below = "high_c", word = "warm" },
    { word = "hot" },
]

[settings.warm_c]
type = "number"
default = 25.0
scope = "sensor"

[settings.high_c]
type = "integer"
default = 30

[settings.name]
type = "text"
default = ""
"""


def test_a_limit_of_a_band_may_be_a_setting(tmp_path: Path) -> None:
    said = read(tmp_path, ROOM).description
    assert said.fields["temperature"].bands == [
        Band(25.0, "ok", "good", setting="warm_c"),
        Band(below=30, word="warm", setting="high_c"),
        Band(word="hot"),
    ]
    assert [setting.scope for setting in said.settings.values()] == ["sensor", "plugin", "plugin"]


@pytest.mark.parametrize(
    ("old", "new", "line", "sentence"),
    [
        (
            'to = "warm_c"',
            'to = "wram_c"',
            4,
            "found 'wram_c', expected a number or a setting that is one: warm_c, high_c; did you",
        ),
        (
            'below = "high_c"',
            'below = "name"',
            4,
            "bands[1].below: found 'name', a setting of type text, expected a number or a setting",
        ),
        (
            "default = 25.0",
            "default = 35.0",
            4,
            "found 30, the default of high_c, expected a number above 35.0, the default of warm_c",
        ),
        (
            'below = "high_c"',
            'to = 3, below = "high_c"',
            4,
            "bands[1].below: found 30, the default",
        ),
        ('scope = "sensor"', 'scope = "room"', 13, "scope: found 'room', expected one of plugin"),
        ("[settings.name]", "[settings.sensors]", 19, "settings.sensors: found 'sensors', which"),
    ],
)
def test_a_wrong_limit_is_named_with_its_line(
    tmp_path: Path, old: str, new: str, line: int, sentence: str
) -> None:
    assert old in ROOM
    with pytest.raises(MisconfiguredError) as raised:
        read(tmp_path, ROOM.replace(old, new))
    assert str(raised.value).startswith(f"{tmp_path / 'plugin.toml'}:{line}: ")
    assert sentence in str(raised.value)


def test_what_is_no_toml_is_named_with_its_line(tmp_path: Path) -> None:
    with pytest.raises(MisconfiguredError, match=r"plugin\.toml:2: found no valid TOML: "):
        read(tmp_path, 'world = "x"\ntitle = Light\nversion = "1"\n')


def test_a_missing_world_and_a_missing_file_are_named(tmp_path: Path) -> None:
    with pytest.raises(
        MisconfiguredError, match=r'found nothing, expected .* world = "...-plugin"'
    ):
        read(tmp_path, "")
    with pytest.raises(MisconfiguredError, match=r'none\.toml: No such .* world = "...-plugin"'):
        manifest.read(tmp_path / "none.toml")


@pytest.mark.parametrize(
    "path",
    sorted(PROJECT.glob("plugins/*/plugin.toml")) + sorted(PROJECT.glob("examples/*/plugin.toml")),
    ids=lambda path: path.parent.name,
)
def test_every_shipped_manifest_is_good(path: Path) -> None:
    assert manifest.read(path).world
