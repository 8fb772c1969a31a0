"""Which interfaces of the contract a plugin's grants cover. Pure."""

from broker.settings import Grant

# What every plugin may import: the clock, the machine's own health, and LEDs, of which a plugin
# without a grant changes none.
_FREE = frozenset({"gpio-provider", "led-controller", "system-info"})

# The grant that an interface needs, and the line that gives it.
_NEEDED = {
    "buzzer-controller": ("buzzer", "buzzer = true"),
    "fan-controller": ("fan", "fan = true"),
    "i2c": ("i2c", 'i2c = ["0x77"]'),
    "spi": ("spi", "spi = true"),
    "uart": ("uart", "uart = true"),
    "plugin-state": ("state", "state = true"),
}

# World by world, the contract makes a plugin import the buzzer even where it never sounds it.
_REFUSED_WHEN_USED = frozenset({"buzzer-controller"})


def missing(plugin: str, interfaces: list[str], grant: Grant) -> str:
    """Return what must be added to the configuration before `plugin` may load, or nothing."""
    lines = [
        line
        for interface, (key, line) in _NEEDED.items()
        if interface in interfaces
        and interface not in _REFUSED_WHEN_USED
        and not getattr(grant, key)
    ]
    if not lines:
        return ""
    return f"add to [plugins.grants.{plugin}]: {', '.join(lines)}"


def refusal(plugin: str, line: str) -> str:
    """Return the sentence for a call that no grant covers, with the line that would cover it."""
    return f"not granted: add {line} to [plugins.grants.{plugin}]"


def is_known(interface: str) -> bool:
    return interface in _FREE or interface in _NEEDED
