"""Loaded plugin of either form."""

from node_agent.sandbox.bundles.bundle import LoadedBundle
from node_agent.sandbox.component import LoadedComponent

LoadedPlugin = LoadedComponent | LoadedBundle
