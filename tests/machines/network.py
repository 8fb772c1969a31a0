"""Network of a laboratory: a bridge in a network namespace of its own, without any way out."""

import contextlib
from collections.abc import Iterator

from tests.machines import commands

BRIDGE = "br0"
# The computer's own address on the bridge.
OUTSIDE = "192.168.7.1"
PREFIX = 24


@contextlib.contextmanager
def network(namespace: str) -> Iterator[None]:
    """Make the namespace and its bridge until the context ends."""
    commands.run("ip", "netns", "add", namespace)
    try:
        ip(namespace, "link", "set", "lo", "up")
        ip(namespace, "link", "add", BRIDGE, "type", "bridge")
        ip(namespace, "addr", "add", f"{OUTSIDE}/{PREFIX}", "dev", BRIDGE)
        ip(namespace, "link", "set", BRIDGE, "up")
        yield
    finally:
        commands.run("ip", "netns", "delete", namespace)


def ip(namespace: str, *words: str) -> str:
    """Run `ip` in the namespace."""
    return commands.run("ip", "-n", namespace, *words)
