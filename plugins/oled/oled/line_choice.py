"""Choice of lines that a person types: `pi4:dht22-gpio4.temperature, pizero:*`.

A choice is `node:sensor.field`; `*` stands for any characters. Without a node it is any node's
sensor; without a field it is the sensor's main value, and `.*` is all of its values.
"""

import re
from dataclasses import dataclass
from fnmatch import fnmatchcase

_CHOICE = re.compile(r"(?:([a-z0-9*-]+):)?([a-z0-9*-]+)(?:\.([^\s.,:]+))?")
_EXPECTED = "sensors such as pi4:dht22-gpio4.temperature or pizero:*, with commas between them"


class BadLinesError(Exception):
    """The text is no choice of lines; the message says what is wrong."""


@dataclass(frozen=True)
class Choice:
    """One part of the setting; `text` is as it was typed."""

    text: str
    node: str
    sensor: str
    field: str

    def fits(self, node: str, sensor: str) -> bool:
        return fnmatchcase(node, self.node) and fnmatchcase(sensor, self.sensor)

    def fields(self, names: list[str]) -> list[str]:
        """Return those of a sensor's values, the main one first, that are chosen."""
        if not self.field:
            return names[:1]
        return [name for name in names if fnmatchcase(name, self.field)]


def parse(text: str) -> list[Choice]:
    """Return the choices in their order. Raises BadLinesError with a sentence.

    >>> [(choice.node, choice.sensor, choice.field) for choice in parse("pi4:*, bme680-0x77.*")]
    [('pi4', '*', ''), ('*', 'bme680-0x77', '*')]
    """
    return [_choice(part.strip()) for part in text.split(",") if part.strip()]


def _choice(text: str) -> Choice:
    found = _CHOICE.fullmatch(text)
    if found is None:
        raise BadLinesError(f"found {text!r}, expected {_EXPECTED}")
    node, sensor, field = found.groups(default="")
    return Choice(text, node or "*", sensor, field)
