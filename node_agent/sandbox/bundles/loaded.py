"""Loaded plugin of either form."""

from node_agent.sandbox.bundles.bundle import LoadedBundle
from node_agent.sandbox.component import LoadedComponent
from node_agent.sandbox.errors import ComponentError

LoadedPlugin = LoadedComponent | LoadedBundle

# The exported functions that an agent calls, once a cycle.
POLL = "poll"
UPDATE = "update"
# Interfaces whose poll returns a WIT result: what fails is an err, so an empty list is no failure.
_WITH_ERR = frozenset({"sensor-logic"})


def may_be_empty(interface: str) -> bool:
    """Whether a poll without a reading means that nothing is new."""
    return interface in _WITH_ERR


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
