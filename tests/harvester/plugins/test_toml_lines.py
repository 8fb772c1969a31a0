"""Line numbers of keys, from the text of a TOML file."""

import pytest

from harvester.plugins.toml_lines import line_of

TEXT = """world = "sensor-plugin"

[fields.co2]
unit = "ppm"
bands = [
    { to = 800, word = "good" },
]
[fields."a b"]
label = "A"
[settings]
high = { type = "number", default = 1 }
[[fields.light.bands]]
to = 1
[[fields.light.bands]]
to = 2
"""


@pytest.mark.parametrize(
    ("key", "line"),
    [
        ("world", 1),
        ("fields.co2", 3),
        ("fields.co2.unit", 4),
        ("fields.co2.bands[0].to", 5),
        ("fields.co2.missing", 3),
        ('fields."a b".label', 9),
        ("settings.high.default", 11),
        ("fields.light.bands[1].to", 15),
        ("nothing", 1),
    ],
)
def test_a_key_is_found_at_its_line(key: str, line: int) -> None:
    assert line_of(TEXT, key) == line
