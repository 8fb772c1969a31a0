"""Tables of attached hardware and of the node's area, written into a new configuration. Pure."""

import json
import re
from collections.abc import Iterator, Sequence

from bus.contract.join import Attached

_AREA = '# area = "House"'


def add(text: str, attached: Attached) -> str:
    """Return the configuration of a plugin host with that hardware and its grants."""
    if attached.dht22:
        text = _with_dht22(text, attached.dht22)
    return "\n".join([text, *_tables(attached)])


def with_area(text: str, area: str) -> str:
    """Return the configuration with the node's area in place of its example."""
    # JSON's strings without escapes of the two kinds that JSON alone has are TOML's.
    return (
        text.replace(_AREA, f"area = {json.dumps(area, ensure_ascii=False)}", 1) if area else text
    )


def _tables(attached: Attached) -> Iterator[str]:
    if attached.leds:
        yield f"[leds]\ncount = {attached.leds}\npin = {attached.leds_pin}\n"
    for name, pin in (("buzzer", attached.buzzer), ("fan", attached.fan)):
        if pin is not None:
            yield f"[{name}]\npin = {pin}\nactive_low = true\n"


def _with_dht22(text: str, pins: Sequence[int]) -> str:
    listed = "[" + ", ".join(map(str, pins)) + "]"
    text = re.sub(r"(?m)^dht22_pins = .*$", f"dht22_pins = {listed}", text)
    text = re.sub(r"(?m)^enabled = \[", 'enabled = ["dht22", ', text)
    text = text.replace('enabled = ["dht22", ]', 'enabled = ["dht22"]')
    return f"{text}\n[plugins.grants.dht22]\ngpio = {listed}\nleds = [1]\nbuzzer = true\n"
