"""Names of the contract's worlds, as `wit/plugin.wit` has them."""

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
