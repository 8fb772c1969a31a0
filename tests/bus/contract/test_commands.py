from collections.abc import Callable

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bus.contract.commands import (
    PATTERNS,
    BuzzerCommand,
    FanCommand,
    LedsCommand,
    Pattern,
    PluginCommand,
    command_id,
    parse_buzzer,
    parse_fan,
    parse_leds,
    parse_plugin,
)
from bus.errors import BadCommandError

PARSERS = [parse_buzzer, parse_leds, parse_fan, parse_plugin]
KEYS = st.sampled_from(
    [
        *("pattern", "count", "duration_ms", "interval_ms", "index", "color", "all", "mode"),
        *("id", "plugin", "action"),
    ]
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
)
OBJECTS = st.dictionaries(KEYS, VALUES, max_size=4).map(msgspec.json.encode)


def refusal(parse: Callable[[bytes], object], payload: bytes) -> str | None:
    """Return what is said about a bad command, or None where it is a good one."""
    try:
        parse(payload)
    except BadCommandError as e:
        return str(e)
    return None


@pytest.mark.parametrize(
    ("payload", "command"),
    [
        (b"beep", BuzzerCommand(Pattern(1, 100, 0), "beep")),
        (b"beep3", BuzzerCommand(Pattern(3, 100, 100), "beep3")),
        (b"long", BuzzerCommand(Pattern(1, 1000, 0), "long")),
        (b"off", BuzzerCommand(Pattern(0, 0, 0), "off")),
        (b" beep\n", BuzzerCommand(PATTERNS["beep"], "beep")),
        (b'"beep"', BuzzerCommand(PATTERNS["beep"], "beep")),
        (b'{"pattern": "beep3"}', BuzzerCommand(PATTERNS["beep3"], "beep3")),
        (b'{"pattern": "off", "id": "a1"}', BuzzerCommand(PATTERNS["off"], "off", "a1")),
        (
            b'{"count": 3, "duration_ms": 100, "interval_ms": 50}',
            BuzzerCommand(Pattern(3, 100, 50), "beep x3"),
        ),
        (b'{"count": 2, "duration_ms": 10}', BuzzerCommand(Pattern(2, 10, 100), "beep x2")),
    ],
)
def test_buzzer(payload: bytes, command: BuzzerCommand) -> None:
    assert parse_buzzer(payload) == command


@pytest.mark.parametrize(
    ("payload", "command"),
    [
        (b"off", LedsCommand(None, "#000000")),
        (b'{"index": 5, "color": "#ff8800"}', LedsCommand(5, "#ff8800")),
        (b'{"index": 0, "color": "#FF8800", "id": "x"}', LedsCommand(0, "#ff8800", "x")),
        (b'{"all": "#000000"}', LedsCommand(None, "#000000")),
    ],
)
def test_leds(payload: bytes, command: LedsCommand) -> None:
    assert parse_leds(payload) == command


@pytest.mark.parametrize(
    ("payload", "command"),
    [
        (b"on", FanCommand("on")),
        (b"off", FanCommand("off")),
        (b"auto", FanCommand("auto")),
        (b'{"mode": "on", "id": "7"}', FanCommand("on", "7")),
    ],
)
def test_fan(payload: bytes, command: FanCommand) -> None:
    assert parse_fan(payload) == command


@pytest.mark.parametrize("action", ["reload", "enable", "disable", "record"])
def test_plugins(action: str) -> None:
    payload = msgspec.json.encode({"plugin": "dht22", "action": action, "id": "9"})
    command = parse_plugin(payload)
    assert (command.plugin, command.action, command.id) == ("dht22", action, "9")
    assert isinstance(command, PluginCommand)


def test_settings_of_a_plugin_or_of_one_of_its_sensors() -> None:
    said = {"plugin": "dht22", "action": "set", "settings": {"high_c": 28.0, "alarm": None}}
    command = parse_plugin(msgspec.json.encode(said))
    assert (command.settings, command.sensor) == ({"high_c": 28.0, "alarm": None}, None)
    command = parse_plugin(msgspec.json.encode(said | {"sensor": "dht22-gpio17"}))
    assert command.sensor == "dht22-gpio17"


@pytest.mark.parametrize(
    ("parse", "payload"),
    [
        (parse_buzzer, b""),
        (parse_buzzer, b"bep"),
        (parse_buzzer, b"beep" + b" " * 100 + b"and more"),
        (parse_buzzer, b"true"),
        (parse_buzzer, b"3"),
        (parse_buzzer, b"[]"),
        (parse_buzzer, b"{}"),
        (parse_buzzer, b'{"pattern": "loud"}'),
        (parse_buzzer, b'{"pattern": "beep", "count": 3}'),
        (parse_buzzer, b'{"count": 0, "duration_ms": 100}'),
        (parse_buzzer, b'{"count": 21, "duration_ms": 100}'),
        (parse_buzzer, b'{"count": 1, "duration_ms": 10001}'),
        (parse_buzzer, b'{"count": true, "duration_ms": 100}'),
        (parse_buzzer, b'{"pattern": "beep", "id": 5}'),
        (parse_buzzer, b'{"pattern": "beep", "id": "' + b"x" * 65 + b'"}'),
        (parse_leds, b"red"),
        (parse_leds, b'{"index": -1, "color": "#ff8800"}'),
        (parse_leds, b'{"index": 1, "color": "red"}'),
        (parse_leds, b'{"index": 1, "color": "#ff8800\\n"}'),
        (parse_leds, b'{"index": 1}'),
        (parse_leds, b'{"all": "#000000", "index": 1}'),
        (parse_fan, b"fast"),
        (parse_fan, b'{"mode": "fast"}'),
        (parse_fan, b"{}"),
        (parse_plugin, b"reload"),
        (parse_plugin, b'{"plugin": "dht22"}'),
        (parse_plugin, b'{"plugin": "dht22", "action": "reload", "sensor": "dht22-gpio4"}'),
        (
            parse_plugin,
            b'{"plugin": "dht22", "action": "set", "sensor": "A", "settings": {"high_c": 1}}',
        ),
        (parse_plugin, b'{"plugin": "dht22", "action": "delete"}'),
    ],
)
def test_a_bad_command_gets_a_sentence_that_says_what_is_allowed(
    parse: Callable[[bytes], object], payload: bytes
) -> None:
    with pytest.raises(BadCommandError, match="expected ") as caught:
        parse(payload)
    assert "\n" not in str(caught.value)
    for internal in ("$", "regex", "Invalid", "`", "Object "):
        assert internal not in str(caught.value)


@pytest.mark.parametrize(
    ("parse", "payload", "said"),
    [
        (parse_fan, b'{"mode": "fast"}', "mode: found 'fast', expected one of auto, off, on; "),
        (parse_fan, b"fast", "found 'fast', expected on, off, auto or "),
        (
            parse_leds,
            b'{"index": 1, "color": "red"}',
            "color: found 'red', expected a colour like \"#ff8800\"; ",
        ),
        (parse_leds, b'{"index": 1}', "color: found nothing, expected a colour like "),
        (
            parse_buzzer,
            b'{"count": 21, "duration_ms": 100}',
            "count: found 21, expected an integer from 1 to 20; ",
        ),
        (
            parse_buzzer,
            b'{"pattern": "beep", "id": "' + b"x" * 65 + b'"}',
            f"id: found '{'x' * 27}...{'x' * 28}', expected a string of at most 64 characters; ",
        ),
        (
            parse_plugin,
            b'{"plugin": "dht22", "action": "delete"}',
            "action: found 'delete', expected one of disable, enable, record, reload, set; ",
        ),
        (
            parse_plugin,
            b'{"plugin": "dht22", "action": "set", "settings": {"high_c": [1]}}',
            "settings.high_c: found [1], expected a number from -9.0072e+15 to 9.0072e+15 or a ",
        ),
        (
            parse_plugin,
            b'{"plugin": "dht22", "action": "set", "settings": {"high_c": NaN}}',
            'found \'{"plugin": "dht22", "action": "set", "settings": {"high_c": NaN}}\' (JSON is ',
        ),
        (
            parse_leds,
            b'{"all": "#000000", "index": 1}',
            "index: found an unknown key, expected one of all, id; ",
        ),
    ],
)
def test_a_bad_command_is_told_where_what_and_what_is_allowed(
    parse: Callable[[bytes], object], payload: bytes, said: str
) -> None:
    with pytest.raises(BadCommandError) as caught:
        parse(payload)
    assert str(caught.value).startswith(said)


@pytest.mark.parametrize("parse", PARSERS)
@given(payload=st.binary() | st.text().map(str.encode) | OBJECTS)
def test_garbage_is_a_command_or_a_bad_command(
    parse: Callable[[bytes], object], payload: bytes
) -> None:
    said = refusal(parse, payload)
    assert said is None or "expected " in said


@pytest.mark.parametrize("parse", [*PARSERS, command_id])
@pytest.mark.parametrize("payload", [b"[" * 100_000, b'{"id":' * 100_000, b"9" * 100_000])
def test_what_is_nested_beyond_reason_ends_well(
    parse: Callable[[bytes], object], payload: bytes
) -> None:
    said = refusal(parse, payload)
    assert said is None or len(said) < 300


@given(st.binary() | OBJECTS)
def test_the_id_of_a_bad_command_is_a_short_string_or_none(payload: bytes) -> None:
    found = command_id(payload)
    assert found is None or len(found) <= 64


def test_a_bad_command_keeps_its_id() -> None:
    assert command_id(b'{"pattern": "loud", "id": "a1"}') == "a1"
    assert command_id(b"beep") is None
