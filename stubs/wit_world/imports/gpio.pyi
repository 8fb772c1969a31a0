# Written by `harvester plugins stubs` from wit/plugin.wit.
"""Digital pins, by BCM number. A pin that the node's configuration does not grant in that direction
is an error that begins with "not granted". Since 1.1.0.
"""

def set_input(pin: int, pull: str, edge: str, debounce_ms: int) -> None:
    """Make a pin an input and count its edges; again with the same values it does nothing, so call
    it in every poll. `pull` is "up", "down" or "none"; `edge`, which edges are counted, is
    "rising", "falling" or "both". An edge within `debounce-ms` after a counted one is not counted.

    Raises Err with a str.
    """

def read(pin: int) -> bool:
    """The level of an input: true is high.

    Raises Err with a str.
    """

def take_edges(pin: int) -> int:
    """The number of edges since the last call, or since `set-input`.

    Raises Err with a str.
    """

def write(pin: int, high: bool) -> None:
    """Drive an output. It has its safe level until the first call and when the plugin has ended.

    Raises Err with a str.
    """
