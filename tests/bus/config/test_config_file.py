"""Every kind of mistake is one line: file, key, what was found, what is expected."""

import tomllib
from pathlib import Path
from typing import Any

import pytest
import tomli_w
from hypothesis import given
from hypothesis import strategies as st

from bus.config import config_file
from bus.config.settings import Config, check_addresses
from bus.errors import MisconfiguredError

CONFIG = Path(__file__).parents[3] / "config"
ROLES = ["hub", "spoke", "pizero"]
URL = '[broker]\nurl = "mqtt://127.0.0.1"\n'


def refusal(path: Path, text: str, *overrides: str) -> str:
    """Return what is said about a wrong file, without the file's name in front."""
    path.write_text(text)
    with pytest.raises(MisconfiguredError) as caught:
        config_file.load(path, overrides)
    said = str(caught.value)
    assert said.startswith(f"{path}: ")
    assert "\n" not in said
    return said.removeprefix(f"{path}: ")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "spoke.toml"


@pytest.mark.parametrize("role", ROLES)
def test_a_shipped_file_works_as_it_stands(role: str) -> None:
    config = config_file.load(CONFIG / f"{role}.toml")
    assert config.cluster.role == ("hub" if role == "hub" else "spoke")
    assert config.hardware.driver == "raspberry-pi"


@pytest.mark.parametrize("role", ROLES)
def test_what_is_printed_loads_as_the_same_configuration(role: str, path: Path) -> None:
    config = config_file.load(CONFIG / f"{role}.toml")
    path.write_text(config_file.dump(config))
    assert config_file.load(path) == config


def test_the_shipped_nodes_have_the_addresses_of_the_design() -> None:
    assert config_file.load(CONFIG / "spoke.toml").broker_address == ("192.168.7.10", 1883)
    assert config_file.load(CONFIG / "hub.toml").broker_address == ("127.0.0.1", 1883)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[ledz]", "ledz: found an unknown key, expected one of cluster, broker, "),
        ("[leds]\ncont = 1", "leds.cont: found an unknown key, expected one of count, pin, "),
        ('["a\\nb"]', r"'a\nb': found an unknown key, expected one of "),
        ("leds = 3", "leds: found 3, expected a table"),
        ("buzzer = 3", "buzzer: found 3, expected a table"),
        ("[leds]\ncount = 257", "leds.count: found 257, expected an integer from 0 to 256"),
        (
            "[outbox]\nmax_rows = 99",
            "outbox.max_rows: found 99, expected an integer from 100 to 100000000",
        ),
        ('[leds]\ncount = "9"', "leds.count: found '9', expected an integer from 0 to 256"),
        ("[leds]\ncount = true", "leds.count: found true, expected an integer from 0 to 256"),
        ("[leds]\ncount = 1e2", "leds.count: found 100.0, expected an integer from 0 to 256"),
        (
            '[leds]\norder = "grb"',
            "leds.order: found 'grb', expected one of BGR, BRG, GBR, GRB, RBG, RGB",
        ),
        (
            "[leds]\nbrightness = 256",
            "leds.brightness: found 256, expected an integer from 0 to 255",
        ),
        ("[fan]\nactive_low = 1", "fan.active_low: found 1, expected true or false"),
        (
            "[pings]\ninterval_s = 0",
            "pings.interval_s: found 0, expected a number above 0 and at most 86400",
        ),
        (
            "[polling]\ninterval_seconds = nan",
            "polling.interval_seconds: found nan, expected a number from 0.1 to 3600",
        ),
        ('[cluster]\nrole = "x"', "cluster.role: found 'x', expected one of fleet, hub, spoke"),
        (
            '[cluster]\nnode_id = "Pi4"',
            "cluster.node_id: found 'Pi4', expected a name of up to 64 of a-z, 0-9 and hyphens",
        ),
        (
            '[cluster]\nnode_id = "pi4\\n"',
            r"cluster.node_id: found 'pi4\n', expected a name of up to 64 of a-z, 0-9 and hyphens",
        ),
        (
            "[sensors]\ndht22_pins = [4, 99]",
            "sensors.dht22_pins[1]: found 99, expected an integer from 2 to 27",
        ),
        ("[sensors]\ndht22_pins = 4", "sensors.dht22_pins: found 4, expected an array"),
        (
            '[sensors]\nbme680_addresses = ["0x99"]',
            "sensors.bme680_addresses[0]: found '0x99', expected a 7-bit address from ",
        ),
        (
            "[plugins.grants.dht22]\ni3c = 1",
            "plugins.grants.dht22.i3c: found an unknown key, expected one of gpio, leds, i2c, ",
        ),
        (
            "[plugins.grants.a]\n[plugins.grants.dht22]\ngpio = [4, 99]",
            "plugins.grants.dht22.gpio[1]: found 99, expected an integer from 2 to 27",
        ),
        (
            "[plugins.grants.A]",
            "plugins.grants.A: found the key 'A', expected a name of up to 64 of a-z, 0-9",
        ),
        (
            "[plugins.grants.a]\noutputs = [{ pin = 5 }]",
            "plugins.grants.a.outputs[0].safe: found nothing, expected one of high, low",
        ),
        (
            '[plugins.grants.a]\noutputs = [{ pin = 5, safe = "off" }]',
            "plugins.grants.a.outputs[0].safe: found 'off', expected one of high, low",
        ),
        (
            '[plugins.grants.a]\nreadings = ["pi4:x", "pi4"]',
            'plugins.grants.a.readings[1]: found \'pi4\', expected "NODE:SENSOR", "NODE:*" for ',
        ),
        ("[plugins]\ngrants = 1", "plugins.grants: found 1, expected a table"),
        ("[pings.hosts]\na = 1", "pings.hosts.a: found 1, expected a string"),
        (
            '[[web.cards]]\ntitle = "a"\n[[web.cards]]\nnode = "b"',
            "web.cards[1].title: found nothing, expected a string",
        ),
        (
            '[[web.cards]]\ntitle = "a"\nnode = 3',
            "web.cards[0].node: found 3, expected a name of up to 64 of a-z, 0-9 and hyphens",
        ),
        (
            '[hardware]\nspi_device = "0"',
            'hardware.spi_device: found \'0\', expected "BUS.DEVICE", like "0.0"',
        ),
        (
            "[leds]\ncount = 1979-05-27",
            "leds.count: found datetime.date(1979, 5, 27), expected an ",
        ),
        (
            "[leds]\ncount = 0x" + "f" * 5000,
            "leds.count: found an integer of more than 64 bits, expected an integer from 0 to 256",
        ),
        (
            "[leds]\ncount" + ".a" * 5000 + " = 1",
            "leds.count: found {'a': {'a': {...}}}, expected ",
        ),
    ],
)
def test_a_wrong_key_or_value_is_named_in_full(path: Path, text: str, said: str) -> None:
    assert refusal(path, f"{text}\n{URL}").startswith(said)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[broker]\nurl = "http://x"', "broker.url: found 'http://x', expected mqtt://HOST"),
        ('[broker]\nurl = "mqtt://"', "broker.url: found 'mqtt://', expected mqtt://HOST"),
        ('[broker]\nurl = "mqtt://x:99999"', "broker.url: found 'mqtt://x:99999', expected "),
        ('[broker]\nurl = "mqtt://[x"', "broker.url: found 'mqtt://[x', expected "),
        (
            URL + "[fan]\npin = 17\n[buzzer]\npin = 17",
            "fan.pin: found pin 17, which buzzer.pin has already; expected a pin that nothing else",
        ),
        (
            URL + "[leds]\ncount = 1\n[sensors]\ndht22_pins = [18]",
            "leds.pin: found pin 18, which sensors.dht22_pins[0] has already; expected ",
        ),
        (
            URL + '[leds]\ncount = 1\ndriver = "spi"',
            'leds.pin: found 18, expected 10 with leds.driver = "spi"',
        ),
        (
            URL + '[leds]\ncount = 1\npin = 10\n[plugins]\nenabled = ["a"]\n'
            "[plugins.grants.a]\nspi = true",
            "plugins.grants.a.spi: found true, which sends to pin 10, the LED strip's; expected ",
        ),
        (
            URL + '[leds]\ncount = 2\n[plugins]\nenabled = ["a"]\n[plugins.grants.a]\nleds = [2]',
            "plugins.grants.a.leds: found LED 2, expected less than leds.count = 2",
        ),
        (
            URL + '[leds]\ncount = 1\n[plugins]\nenabled = ["a", "b"]\n'
            "[plugins.grants.a]\nleds = [0]\n[plugins.grants.b]\nleds = [0]",
            "plugins.grants.b.leds: found LED 0, which a owns already; expected an LED of its own",
        ),
        (
            URL + '[plugins]\nenabled = ["a", "b"]\n'
            '[plugins.grants.a]\ni2c = ["0x3c", "0x77"]\n[plugins.grants.b]\ni2c = ["0x77"]',
            "plugins.grants.b.i2c: found '0x77', which a has already; expected one plugin for it",
        ),
        (
            URL + '[plugins]\nenabled = ["a", "b"]\n'
            "[plugins.grants.a]\nuart = true\n[plugins.grants.b]\nuart = true",
            "plugins.grants.b.uart: found true, which a has already; expected one plugin for it",
        ),
        (
            URL + "[plugins.grants.a]\ngpio = [4]",
            "plugins.grants.a.gpio: found pin 4, expected one of sensors.dht22_pins = []",
        ),
        (
            URL + '[buzzer]\n[plugins]\nenabled = ["a"]\n[plugins.grants.a]\ninputs = [5, 17]',
            "plugins.grants.a.inputs[1]: found pin 17, which buzzer.pin has already; expected ",
        ),
        (
            URL + '[plugins]\nenabled = ["a"]\n'
            '[plugins.grants.a]\ninputs = [5]\noutputs = [{ pin = 5, safe = "low" }]',
            "plugins.grants.a.outputs[0].pin: found pin 5, which plugins.grants.a.inputs[0] has ",
        ),
        (
            URL + '[plugins]\nenabled = ["a", "b"]\n[plugins.grants]\n'
            'a.outputs = [{ pin = 5, safe = "low" }]\nb.outputs = [{ pin = 5, safe = "low" }]',
            "plugins.grants.b.outputs[0].pin: found pin 5, which plugins.grants.a.outputs[0].pin ",
        ),
        (URL + '[plugins]\nenabled = ["cmd"]', "plugins.enabled: found 'cmd', expected a name "),
    ],
)
def test_tables_that_contradict_are_named(path: Path, text: str, said: str) -> None:
    assert refusal(path, text).startswith(said)


@pytest.mark.parametrize(
    "text",
    [
        '[plugins]\nenabled = ["a"]\n[plugins.grants]\na.i2c = ["0x77"]\nb.i2c = ["0x77"]',
        "[sensors]\ndht22_pins = [4]\n[plugins.grants]\na.gpio = [4]\nb.gpio = [4]",
        '[plugins]\nenabled = ["a", "b"]\n[plugins.grants]\na.spi = true\nb.spi = true',
    ],
)
def test_what_two_plugins_may_share_is_granted_to_both(path: Path, text: str) -> None:
    path.write_text(URL + text)
    assert config_file.load(path).plugins.grants.keys() == {"a", "b"}


@pytest.mark.parametrize(
    "text", ["x", "a = [", "a = 1\na = 2", "a = " + "[" * 5000, "a = " + "9" * 5000, "a = '\x01'"]
)
def test_what_is_no_toml_is_said_to_be_none(path: Path, text: str) -> None:
    assert refusal(path, text).startswith("found no valid TOML: ")


def test_bytes_that_are_no_text_are_no_toml(path: Path) -> None:
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(MisconfiguredError, match="found no valid TOML"):
        config_file.load(path)


def test_a_byte_order_mark_is_no_part_of_the_text(path: Path) -> None:
    path.write_bytes(("\ufeff" + URL).encode())
    assert config_file.load(path).broker_address == ("127.0.0.1", 1883)


@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
def test_utf_16_is_named_with_what_to_do(path: Path, encoding: str, mark: str) -> None:
    path.write_bytes(mark.encode(encoding) + URL.encode(encoding))
    with pytest.raises(MisconfiguredError, match="found UTF-16, expected UTF-8: save the file"):
        config_file.load(path)


def test_a_letter_of_an_older_encoding_is_named_with_its_line(path: Path) -> None:
    path.write_bytes(b"# 1\n# K\xfcche\n")
    with pytest.raises(MisconfiguredError, match="found byte 0xfc in line 2, expected UTF-8: save"):
        config_file.load(path)


@pytest.mark.parametrize(
    "url",
    [
        "mqtt://ann:s3cret@hub.lan",
        "mqtts://s3cret@hub.lan:8883",
        "mqtt://ann:s3c@ret:@s3cret@hub.lan:port",
        "http://ann:s3cret@hub.lan",
        "ann:s3cret@hub.lan",
    ],
)
def test_a_password_in_the_url_is_refused_and_not_repeated(path: Path, url: str) -> None:
    for said in (refusal(path, f'[broker]\nurl = "{url}"'), refusal(path, "", f"broker.url={url}")):
        assert said.startswith(
            "broker.url: found a user or a password in the URL, expected mqtt://"
        )
        assert "broker.credentials_file" in said
        assert "s3c" not in said


@pytest.mark.parametrize("key", ["broker.port", "broker.urls", "hardware.driver"])
def test_a_password_under_a_wrong_key_is_not_repeated(path: Path, key: str) -> None:
    url = "mqtt://ann:s3c@ret@hub.lan"
    table, _, name = key.partition(".")
    assert "s3c" not in refusal(path, f'[{table}]\n{name} = "{url}"')
    assert "s3c" not in refusal(path, "", f"{key} {url}")


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    for unreadable in (tmp_path, tmp_path / "none.toml"):
        with pytest.raises(MisconfiguredError, match=f"{unreadable}: .*expected a readable TOML"):
            config_file.load(unreadable)


def test_a_long_value_is_shortened(path: Path) -> None:
    said = refusal(path, f'[cluster]\nnode_id = "{"x" * 5000}"')
    assert "xxx...xxx" in said
    assert len(said) < 200


@pytest.mark.parametrize(
    ("override", "key", "value"),
    [
        ("polling.interval_seconds=0.5", "polling.interval_seconds", 0.5),
        ("cluster.node_id=pi5", "cluster.node_id", "pi5"),
        ("leds.count=3", "leds.count", 3),
        ("sensors.dht22_pins=[4, 5]", "sensors.dht22_pins", [4, 5]),
        ('pings.hosts={a = "127.0.0.1"}', "pings.hosts", {"a": "127.0.0.1"}),
        ("pings.hosts.a=127.0.0.1", "pings.hosts", {"a": "127.0.0.1"}),
        ("web.listen=127.0.0.1", "web.listen", "127.0.0.1"),
        ("storage.state_dir=", "storage.state_dir", ""),
    ],
)
def test_an_override_lies_over_the_file(path: Path, override: str, key: str, value: object) -> None:
    path.write_text(URL)
    found: Any = config_file.load(path, [override])
    for part in key.split("."):
        found = getattr(found, part)
    assert found == value


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("leds.count", "--set: found 'leds.count', expected table.key=value"),
        ("=3", "--set: found '=3', expected table.key=value"),
        ("leds..count=3", "--set: found 'leds..count=3', expected table.key=value"),
        ("broker.url.x=3", "--set broker.url.x: url is no table"),
        ("leds.count=many", "leds.count: found 'many', expected an integer from 0 to 256"),
        ("leds.count=1\npin = 2", r"leds.count: found '1\npin = 2', expected an integer "),
        ("plugins.grants.dht22.i3c=1", "plugins.grants.dht22.i3c: found an unknown key"),
    ],
)
def test_a_wrong_override_is_named(path: Path, override: str, said: str) -> None:
    assert refusal(path, URL, override).startswith(said)


def test_paths_are_relative_to_the_file(path: Path) -> None:
    path.write_text(URL + '[plugins]\ndirectory = "../p"\n[hardware]\nscenario = "/s.toml"\n')
    config = config_file.load(path)
    assert config.plugins.directory == str(path.parent.parent / "p")
    assert config.hardware.scenario == "/s.toml"
    assert config.hardware.record_file == ""


@pytest.mark.parametrize("text", ["a\\u0000b", "~no-such-user/x"])
def test_what_is_no_path_is_named(path: Path, text: str) -> None:
    said = refusal(path, f'{URL}[storage]\nstate_dir = "{text}"')
    assert said.startswith("storage.state_dir: found ")
    assert "expected a path" in said


def test_the_role_is_searched_here_then_one_folder_up_then_built_in(tmp_path: Path) -> None:
    here = tmp_path / "a"
    for directory in (here / "config", tmp_path / "config"):
        directory.mkdir(parents=True)
    assert config_file.find("hub", here) is None
    above = tmp_path / "config" / "hub.toml"
    above.touch()
    assert config_file.find("hub", here) == above
    near = here / "config" / "hub.toml"
    near.touch()
    assert config_file.find("hub", here) == near
    assert config_file.find("pizero", here) is None


def test_the_built_in_defaults_are_a_spoke_in_search_of_its_hub() -> None:
    assert config_file.load(None).broker_address == ("192.168.7.10", 1883)
    assert config_file.load(None, ["broker.url=mqtt://hub"]).broker_address == ("hub", 1883)


SCALARS = (
    st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
    | st.datetimes()
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["a", "gpio", "A", ""]), inner, max_size=3)
    ),
    max_leaves=5,
)
KEYS = sorted(
    f"{table}.{key}"
    for table, fields in tomllib.loads(
        config_file.dump(
            config_file.load(None, ["broker.url=mqtt://hub", "fan.pin=5", "buzzer.pin=6"])
        )
    ).items()
    for key in fields
)


@given(st.dictionaries(st.sampled_from(KEYS) | st.text(max_size=5), VALUES, max_size=4))
def test_any_values_are_a_configuration_or_one_line(
    tmp_path_factory: pytest.TempPathFactory, values: dict[str, Any]
) -> None:
    tables: dict[str, Any] = {"broker": {"url": "mqtt://hub"}}
    for key, value in values.items():
        table, _, last = key.partition(".")
        tables.setdefault(table, {})[last] = value
    path = tmp_path_factory.getbasetemp() / "any.toml"
    path.write_text(tomli_w.dumps(tables), encoding="utf-8")
    try:
        config = config_file.load(path)
    except MisconfiguredError as e:
        said = str(e)
        assert len(said.splitlines()) == 1
    else:
        assert isinstance(config, Config)


@pytest.mark.parametrize("key", ["broker.listen", "web.listen"])
@pytest.mark.parametrize("text", ["300.1.1.1", "[::]", "*", "0.0.0.0:3000", "http://hub", "''"])
def test_an_address_that_nothing_can_listen_on_is_refused(key: str, text: str) -> None:
    config = config_file.load(None, [f"{key}={text}"])
    with pytest.raises(MisconfiguredError, match=f"^{key}: found .* expected an address"):
        check_addresses(config)


@pytest.mark.parametrize("text", ["::", "0.0.0.0", "fe80::1%eth0", "localhost", "192.168.7.10"])
def test_an_address_is_accepted_to_listen_on(text: str) -> None:
    check_addresses(config_file.load(None, [f"web.listen={text}", f"broker.listen={text}"]))


def test_page_and_broker_cannot_share_a_port() -> None:
    hub = ["cluster.role=hub", "web.port=1883"]
    with pytest.raises(MisconfiguredError, match=r"web.port: found 1883, which broker.port has"):
        config_file.load(None, hub)
    apart = ["web.listen=192.168.7.10", "broker.listen=127.0.0.1"]
    assert config_file.load(None, [*hub, *apart]).web.port == 1883
    assert config_file.load(None, ["web.port=1883"]).web.port == 1883
