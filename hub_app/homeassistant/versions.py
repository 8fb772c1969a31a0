"""Versions of plugins on all nodes, and the newest of each plugin. Pure."""

import re
from collections.abc import Iterable

_NUMBER = re.compile(r"\d+")


class PluginVersions:
    """The version of each plugin of each node."""

    def __init__(self) -> None:
        self._versions: dict[str, dict[str, str]] = {}

    def latest(self, plugin: str) -> str:
        """Return the newest version of a plugin on any node; empty where no node tells one."""
        return max(self._versions.get(plugin, {}).values(), key=_order, default="")

    def set(self, node: str, plugin: str, version: str) -> Iterable[str]:
        """Note a version; return the nodes for which the newest one has changed."""
        before = self.latest(plugin)
        versions = self._versions.setdefault(plugin, {})
        if version:
            versions[node] = version
        else:
            versions.pop(node, None)
        return () if self.latest(plugin) == before else list(versions)


def _order(version: str) -> tuple[list[int], str]:
    return [int(number[:18]) for number in _NUMBER.findall(version)], version
