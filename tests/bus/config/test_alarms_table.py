"""The [[alarms]] and [notify] tables: what they take, and what is said of a mistake."""

from pathlib import Path

import pytest

from bus.config import config_file
from bus.config.alarms_table import BUILT_IN, check_rule
from bus.errors import MisconfiguredError

GOOD = """
[notify]
addresses_file = "addresses"
severity = "critical"

[[alarms]]
name = "too-warm"
node = "pi*"
area = "Cellar"
field = "temperature"
above = 30
clear = 28.5
for_s = 600
severity = "critical"

[[alarms]]
name = "bad-air"
field = "iaq_score"
above = "fair"

[[alarms]]
name = "node-lost"
enabled = false

[[alarms]]
name = "cellar-lost"
kind = "lost"
node = "cellar"
for_s = 600
"""


def load(tmp_path: Path, text: str) -> config_file.Config:
    path = tmp_path / "hub.toml"
    path.write_text(text)
    return config_file.load(path)


def test_rules_and_notifications_are_read_and_printed(tmp_path: Path) -> None:
    config = load(tmp_path, GOOD)
    assert [rule.name for rule in config.alarms] == [
        *("too-warm", "bad-air", "node-lost", "cellar-lost"),
    ]
    assert config.notify.addresses_file == str(tmp_path / "addresses")
    again = load(tmp_path, config_file.dump(config))
    assert again.alarms == config.alarms
    # Some people will put the address itself where its file is expected.
    assert 'addresses_file = "(set)"' in config_file.dump(config)


@pytest.mark.parametrize(
    ("lines", "mistake"),
    [
        ('name = "Too warm"', "name: found 'Too warm', expected a name of up to 32"),
        ('name = "a--b"', "name: found 'a--b', expected a name of up to 32"),
        ('name = "cmd"', "name: found 'cmd', expected a name that no topic reserves"),
        ('name = "a"\nabove = 1', "field: found nothing, expected the name of a value"),
        ('name = "a"\nfield = "t"', "above: found nothing, expected above or below"),
        (
            'name = "a"\nfield = "t"\nabove = 1\nbelow = 0',
            "below: found 0 beside above, expected one of them",
        ),
        (
            'name = "a"\nfield = "t"\nabove = 1\nclear = 2',
            "clear: found 2, expected at most above = 1",
        ),
        (
            'name = "a"\nfield = "t"\nbelow = 1\nclear = 0',
            "clear: found 0, expected at least below = 1",
        ),
        ('name = "a"\nfield = "t"\nabove = []', "above: found []"),
        ('name = "a"\nfield = "t"\nabove = 1\nsevrity = "x"', "sevrity: found an unknown key"),
        ('name = "a"\nkind = "stale"\nfield = "t"', "field: found 't', expected none"),
        ('name = "a"\nkind = "lost"\nsensor = "t"', "sensor: found 't', expected none"),
        ('name = "a"\nkind = "lost"\nabove = 3', "above: found 3, expected none"),
        ('name = "a"\nkind = "stale"\nclear = 3', "clear: found 3, expected none"),
        ('name = "a"\nkind = "disk"\nabove = "full"', "above: found 'full', expected a number"),
        (
            'name = "node-lost"\nkind = "stale"',
            "kind: found 'stale', expected 'lost', as the built-in node-lost has",
        ),
        ('name = "a"\nfield = "t"\nabove = 1\nfor_s = -1', "for_s: found -1"),
    ],
)
def test_a_mistake_is_named_with_file_and_key(lines: str, mistake: str, tmp_path: Path) -> None:
    with pytest.raises(MisconfiguredError) as raised:
        load(tmp_path, f"[[alarms]]\n{lines}\n")
    assert str(raised.value).startswith(f"{tmp_path / 'hub.toml'}: alarms[0].")
    assert mistake in str(raised.value)


def test_two_rules_of_one_name_are_a_mistake(tmp_path: Path) -> None:
    rule = '[[alarms]]\nname = "a"\nfield = "t"\nabove = 1\n'
    with pytest.raises(MisconfiguredError, match=r"alarms\[1\].name: found 'a', which alarms\[0\]"):
        load(tmp_path, rule * 2)


def test_the_built_in_rules_are_valid() -> None:
    for rule in BUILT_IN:
        check_rule(rule)
