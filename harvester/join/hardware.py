"""Hardware that gives no sign of itself, written into a new configuration. Pure."""

import re
from collections.abc import Sequence

import msgspec

# Pins of the wiring in deploy/INSTALL.md; SPI needs no root.
_LED_PIN = 10
_SHT31 = """
# A Sensirion SHT31 answers at {addresses}. Its plugin is examples/sht31 of the program: copy it to
# plugins/sht31, add "sht31" to `enabled`, and grant it the address:
# [plugins.grants.sht31]
# i2c = {listed}
"""


class Hardware(msgspec.Struct, frozen=True, kw_only=True):
    """What a person names on the line: BCM pins, and the number of LEDs."""

    dht22: Sequence[int] = ()
    leds: int = 0
    leds_pin: int = _LED_PIN
    buzzer: int | None = None
    fan: int | None = None
    sht31: Sequence[str] = ()


def add(text: str, hardware: Hardware) -> str:
    """Return the configuration of a plugin host with that hardware and its grants."""
    if hardware.dht22:
        text = _with_dht22(text, hardware.dht22)
    if hardware.leds:
        text += f"\n[leds]\ncount = {hardware.leds}\npin = {hardware.leds_pin}\n"
    for name, pin in (("buzzer", hardware.buzzer), ("fan", hardware.fan)):
        if pin is not None:
            text += f"\n[{name}]\npin = {pin}\nactive_low = true\n"
    if hardware.sht31:
        listed = _list(hardware.sht31)
        text += _SHT31.format(addresses=" and ".join(hardware.sht31), listed=listed)
    return text


def _with_dht22(text: str, pins: Sequence[int]) -> str:
    listed = "[" + ", ".join(map(str, pins)) + "]"
    text = re.sub(r"(?m)^dht22_pins = .*$", f"dht22_pins = {listed}", text)
    text = re.sub(r"(?m)^enabled = \[", 'enabled = ["dht22", ', text)
    text = text.replace('enabled = ["dht22", ]', 'enabled = ["dht22"]')
    grants = f"gpio = {listed}\nleds = [1]\nbuzzer = true\n"
    return f"{text}\n[plugins.grants.dht22]\n{grants}"


def _list(words: Sequence[str]) -> str:
    return "[" + ", ".join(f'"{word}"' for word in words) + "]"
