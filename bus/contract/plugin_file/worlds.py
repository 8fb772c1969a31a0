"""Names of the contract's worlds, as `wit/plugin.wit` has them, and the contract's version."""

import re

CONTRACT_VERSION = "1.1.0"
_VERSION = re.compile(r"(\d{1,6})\.\d{1,6}\.\d{1,6}")
WORLDS = (
    "dht22-plugin",
    "bme680-plugin",
    "air-quality-plugin",
    "pi4-monitor-plugin",
    "revpi-monitor-plugin",
    "pizero-monitor-plugin",
    "dashboard-plugin",
    "oled-plugin",
    "sensor-plugin",
)


def refusal(world: str) -> str:
    """Return the sentence that refuses a world that this version does not know, or nothing."""
    if world in WORLDS:
        return ""
    return f"world: found {world!r}, expected one of {', '.join(WORLDS)}"


def version_refusal(version: str) -> str:
    """Return the sentence that refuses what was built for a version of the contract, or nothing.

    Versions of one major number only add to each other.
    """
    found, own = _VERSION.fullmatch(version), _VERSION.fullmatch(CONTRACT_VERSION)
    if found is not None and own is not None and found[1] == own[1]:
        return ""
    return f"contract: found version {version!r}, expected one like {CONTRACT_VERSION}"
