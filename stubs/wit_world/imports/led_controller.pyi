# Written by `harvester plugins stubs` from wit/plugin.wit.
"""The node's LED strip. A write lands in a buffer; the host puts the buffer on
the wire once a cycle. LEDs that the plugin was not granted stay as they are.
"""

def set_led(index: int, r: int, g: int, b: int) -> None: ...

def set_all(r: int, g: int, b: int) -> None: ...

def set_two(r0: int, g0: int, b0: int, r1: int, g1: int, b1: int) -> None:
    """The first two LEDs at once."""

def clear() -> None: ...

def sync_leds() -> None:
    """Ask for the buffer to be written at the end of this cycle."""
