"""Unique ids of devices and entities, which outlive every rename. Pure.

Names of nodes, sensors, plugins and alarms have no underscore, so `_` separates them. A sensor
stands behind one, all else behind two: no sensor can be mistaken for another thing of its node.
"""

import hashlib

from bus.contract.discovery import OWN

# A longer id ends with a hash of it: the broker takes no longer level of a topic.
MAX_CHARS = 128
_HASH_CHARS = 16
_KEPT = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_")


def device_id(node: str, sensor: str = "") -> str:
    """Return the id of a node's device, or of a sensor's that has an area of its own."""
    return _fit(_device(node, sensor))


def field_id(node: str, sensor: str, field: str) -> str:
    """Return the id of one value of a sensor.

    >>> field_id("pi4", "air", "pm2.5")
    'harvester_pi4_air_pm2-2e5'
    """
    return _fit(f"{_device(node, sensor)}_{_letters(field)}")


def thing_id(node: str, kind: str, *names: str, key: str = "") -> str:
    """Return the id of anything else of a node: its kind, and names or a key that tell it apart.

    >>> thing_id("pi4", "setting", "dht22", key="high_c")
    'harvester_pi4__setting_dht22_high_c'
    """
    parts = (f"{_device(node)}_", kind, *names, *([_letters(key)] if key else []))
    return _fit("_".join(parts))


def _device(node: str, sensor: str = "") -> str:
    return f"{OWN}{node}_{sensor}" if sensor else f"{OWN}{node}"


def _fit(text: str) -> str:
    if len(text) <= MAX_CHARS:
        return text
    digest = hashlib.sha256(text.encode()).hexdigest()[:_HASH_CHARS]
    return f"{text[: MAX_CHARS - _HASH_CHARS - 1]}-{digest}"


def _letters(text: str) -> str:
    """Return `text` in letters that a topic may have; other texts have other results."""
    return "".join(letter if letter in _KEPT else _hex(letter) for letter in text)


def _hex(letter: str) -> str:
    return "".join(f"-{byte:02x}" for byte in letter.encode(errors="surrogatepass"))
