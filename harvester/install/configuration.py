"""Configurations of a new machine, made from the shipped ones and what was found. Pure."""

import re
from collections.abc import Iterable

from bus.contract.join import Attached
from harvester.install import attached as attached_tables
from harvester.install.found import Found

OWN_PLUGINS = "/opt/harvester/plugins"
# A relay that a plugin may ask for costs nothing on a node that has none.
_MONITOR_GRANTS = {
    "revpi-monitor": "leds = [0]\nbuzzer = true\n",
    "pi4-monitor": "leds = [3]\nbuzzer = true\nfan = true\n",
}
_NOTHING = Attached()
_HUB_HEAD = """# The hub: embedded broker, live page, and its own health.
# Read by both `hub-app` and `node-agent --role hub`. Keys that are missing here have their default
# value; `--check` prints them all."""
_REVPI_ONLY = ("[leds]", "[plugins.grants.revpi-monitor]")


def hub(shipped: str, node: str, found: Found) -> str:
    """Return hub.toml: the shipped one without the cards and LEDs of the machine that it names."""
    monitor = _monitor(found)
    blocks = shipped.split("\n\n")
    unwanted = ("[[web.cards]]",) if found.model.is_revpi else ("[[web.cards]]", *_REVPI_ONLY)
    kept = [block for block in blocks[1:] if not set(block.splitlines()) & {*unwanted}]
    text = "\n\n".join([_HUB_HEAD, *kept]).rstrip() + "\n"
    text = _with_own_keys(text, node).replace("revpi-monitor", monitor)
    if found.model.is_revpi:
        return text
    return f"{text}\n[plugins.grants.{monitor}]\n{_MONITOR_GRANTS[monitor]}{_title(found)}"


def spoke(
    shipped: str, node: str, found: Found, attached: Attached = _NOTHING, area: str = ""
) -> str:
    """Return spoke.toml for a Raspberry Pi: its health, the chips that were found, and `attached`.

    Strip, relays and DHT22 give no sign of themselves; without `attached` their tables are
    comments.
    """
    monitor = _monitor(found)
    plugins = [*(["bme680"] if found.bme680_addresses else []), monitor]
    plugins += ["oled"] if found.display_addresses else []
    unwanted = ("[leds]", "[buzzer]", "[fan]", "[sensors]", "[hardware]")
    blocks = shipped.split("\n\n")[1:]
    kept = [block for block in blocks if not set(block.splitlines()) & {*unwanted}]
    kept = [block for block in kept if "\n[plugins.grants." not in f"\n{block}"]
    text = "\n\n".join([f"# The node {node}.\n{_KEYS}", *kept]).rstrip() + "\n"
    text = _with_own_keys(text, node)
    text = re.sub(r"(?m)^enabled = .*$", f"enabled = {_list(plugins)}", text)
    text += "\n" + "\n".join([_chips(found), *_grants(monitor, found)])
    text = attached_tables.add(attached_tables.with_area(text, area), attached)
    return f"{text}\n{_more(attached)}{_sht31(found)}{_title(found)}"


def pizero(shipped: str, node: str, found: Found, area: str = "") -> str:
    """Return pizero.toml, with the BME680 that was found, without the hosts to ping."""
    blocks = [_HOSTS if "[pings.hosts]" in block else block for block in shipped.split("\n\n")]
    addresses = f"bme680_addresses = {_list(found.bme680_addresses)}"
    text = re.sub(r"(?m)^bme680_addresses = .*$", addresses, "\n\n".join(blocks))
    return attached_tables.with_area(_with_own_keys(text, node), area)


_KEYS = "# Keys that are missing here have their default value; `node-agent --check` prints them."
_HOSTS = """[pings.hosts]
# hub = "192.168.7.10"
"""
_MORE = """# What a machine cannot find by itself. Remove the signs of comments before what is
# there, add the name of its plugin to `enabled`, and run `sudo harvester doctor --role spoke`.
"""
_MORE_TABLES = {
    "dht22": """#
# [plugins.grants.dht22]            # and dht22_pins = [4] in [sensors]
# gpio = [4]
""",
    "leds": """#
# [leds]                            # WS2812B strip; pin 10 (SPI) needs no root
# count = 11
# pin = 10
""",
    "buzzer": """#
# [buzzer]                          # relay board; a low level closes the relay
# pin = 17
# active_low = true
""",
    "fan": """#
# [fan]
# pin = 27
# active_low = true
""",
}
_SHT31 = """
# A Sensirion SHT31 answers at {words}. Its plugin is examples/sht31 in the repository:
# build it, put it into the folder of [plugins], add "sht31" to `enabled`, and grant the address:
# [plugins.grants.sht31]
# i2c = {listed}
"""


def _more(attached: Attached) -> str:
    """Return the commented tables of what is not attached."""
    absent = [text for name, text in _MORE_TABLES.items() if not getattr(attached, name)]
    return "".join([_MORE, *absent]) if absent else ""


def _sht31(found: Found) -> str:
    if not found.sht31_addresses:
        return ""
    words = " and ".join(found.sht31_addresses)
    return _SHT31.format(words=words, listed=_list(found.sht31_addresses))


def _chips(found: Found) -> str:
    return (
        "# BCM pins that carry a DHT22, and I2C addresses that carry a BME680 or a display.\n"
        "[sensors]\n"
        "dht22_pins = []\n"
        f"bme680_addresses = {_list(found.bme680_addresses)}\n\n"
        "[hardware]\n"
        f"ssd1306_addresses = {_list(found.display_addresses)}\n"
    )


def _grants(monitor: str, found: Found) -> Iterable[str]:
    if found.bme680_addresses:
        i2c = _list(found.bme680_addresses)
        yield f"[plugins.grants.bme680]\ni2c = {i2c}\nleds = [2]\nbuzzer = true\nstate = true\n"
    yield f"[plugins.grants.{monitor}]\n{_MONITOR_GRANTS[monitor]}"
    if found.display_addresses:
        yield f"[plugins.grants.oled]\ni2c = {_list(found.display_addresses)}\n"


def _monitor(found: Found) -> str:
    return "revpi-monitor" if found.model.is_revpi else "pi4-monitor"


def _title(found: Found) -> str:
    """Return the title of the health's sensor on a machine that its plugin is not named for."""
    if found.model.is_revpi or "Raspberry Pi 4" in found.model.name:
        return ""
    return f'\n[names.{_monitor(found)}]\ntitle = "Health"\n'


def _with_own_keys(text: str, node: str) -> str:
    """Return the text with the node's id and the folder of the machine's own plugins."""
    text = re.sub(r"(?m)^node_id = .*$", f'node_id = "{node}"', text, count=1)
    return re.sub(r"(?m)^directory = .*$", f'directory = "{OWN_PLUGINS}"', text)


def _list(words: Iterable[str]) -> str:
    return "[" + ", ".join(f'"{word}"' for word in words) + "]"
