"""Loaded plugin of either form."""

from node_agent.sandbox.bundles.bundle import LoadedBundle
from node_agent.sandbox.component import LoadedComponent
from node_agent.sandbox.errors import ComponentError

LoadedPlugin = LoadedComponent | LoadedBundle

# The exported functions that an agent calls, once a cycle.
POLL = "poll"
UPDATE = "update"


def entry(loaded: LoadedPlugin) -> tuple[str, str]:
    """Return the interface and the function that an agent calls once a cycle."""
    for interface, functions in loaded.exports.items():
        for function in (POLL, UPDATE):
            if function in functions:
                return interface, function
    raise ComponentError(
        f"the plugin exports {', '.join(loaded.exports)}; expected an interface with {POLL}() "
        f"or {UPDATE}()"
    )
