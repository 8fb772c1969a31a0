"""Rollout of a version of a plugin: the canary first, the other nodes once it was kept there. Pure.

A node that is away gets the version when it comes; the others do not wait for it, unless it is the
canary.
"""

from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec

from bus.contract.bounds import Name, OptionalName, Word
from bus.contract.messages import DeliveryState
from bus.contract.plugin_file.order import DEFAULT_PROBATION, ComponentBytes, Form, Probation
from bus.errors import MisconfiguredError
from hub_app.nodes.delivery.reason import sentences

KEPT = "kept"
# It polls beside the version that runs, until another order comes.
SHADOW = "shadow"
# It fetches a component.
FETCHING = "fetching"
NOT_KEPT = frozenset({"failed", "rolled-back"})
AWAY = "away"

Action = Literal["deploy", "rollback"]
Outcome = Literal["waiting", "sent", "done", "failed"]


class Target(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A version for a node, by the digest of its file; without one, the node's own file.

    A shadow only polls beside the version that runs. `size_bytes` and `contract`, the version of
    the contract that it was built for, are of a component.
    """

    # An earlier version of the hub reads what has no component: defaults are left out.
    sha256: str = ""
    version: Word = ""
    world: OptionalName = ""
    probation: Probation = DEFAULT_PROBATION
    is_shadow: bool = False
    form: Form = "bundle"
    size_bytes: ComponentBytes = 0
    contract: Word = ""


class NodeRollout(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where a node is in a rollout. `refused_ms`: of the last refusal before the order was sent."""

    progress: Outcome = "waiting"
    release: int = 0
    phase: str = ""
    reason: str = ""
    refused_ms: int = 0

    @property
    def is_over(self) -> bool:
        return self.progress in ("done", "failed")


class Rollout(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The last rollout of a plugin. `stopped` says why no more nodes get it.

    With `area` or `is_all`, the nodes that run the plugin are looked up when it begins.
    """

    plugin: Name
    action: Action = "deploy"
    started_ms: int = 0
    target: Target = Target()
    canary: OptionalName = ""
    area: Word = ""
    is_all: bool = False
    nodes: dict[Name, NodeRollout] = {}
    stopped: str = ""

    @property
    def is_over(self) -> bool:
        """Whether nothing more will happen by itself."""
        is_begun = bool(self.nodes)
        return bool(self.stopped) or (is_begun and all(n.is_over for n in self.nodes.values()))

    @property
    def is_waiting_for_absent(self) -> bool:
        """Whether only nodes that are away are missing, or the canary, for which all wait."""
        canary = self.nodes.get(self.canary)
        if canary is not None and not canary.is_over:
            return canary.phase == AWAY
        missing = [node for node in self.nodes.values() if not node.is_over]
        return bool(missing) and all(node.phase == AWAY for node in missing)


class NodeNow(msgspec.Struct, frozen=True, kw_only=True):
    """A node as the hub knows it, with the reasons for which it takes no files of this hub."""

    is_online: bool = False
    area: str = ""
    plugins: frozenset[str] = frozenset()
    told: Mapping[str, DeliveryState] = {}
    no_bundles: str = ""
    no_components: str = ""


ABSENT = NodeNow()
Nodes = Mapping[str, NodeNow]


def for_nodes(made: Rollout, names: Sequence[str]) -> Rollout:
    """Return a rollout for these nodes and its canary. Raises MisconfiguredError without any."""
    if names and (made.area or made.is_all):
        raise MisconfiguredError("found nodes and an area or all, expected one of them")
    if not names:
        if not made.area and not made.is_all:
            raise MisconfiguredError("found no nodes, expected names, an area or all")
        return made
    ordered = dict.fromkeys([*([made.canary] if made.canary else []), *names])
    return msgspec.structs.replace(made, nodes={name: NodeRollout() for name in ordered})


def resolve(found: Rollout, nodes: Nodes) -> Rollout:
    """Return the rollout with the nodes that it is for, the canary first."""
    if found.nodes or found.stopped:
        return found
    area = found.area.casefold()
    names = [
        name
        for name, node in nodes.items()
        if found.plugin in node.plugins
        and (found.is_all or (area and node.area.casefold() == area))
    ]
    if not names:
        where = f"in the area {found.area!r} " if found.area else ""
        return stop(found, f"found no node {where}that runs {found.plugin}")
    ordered = dict.fromkeys([*([found.canary] if found.canary else []), *sorted(names)])
    return msgspec.structs.replace(found, nodes={name: NodeRollout() for name in ordered})


def obstacle(plugin: str, target: Target, node: NodeNow) -> str:
    """Return why a node cannot get a version of a plugin, or nothing."""
    found = node.no_components if target.form == "component" else node.no_bundles
    if not target.sha256 and not node.no_components:
        # Its own file needs no more than the key.
        found = ""
    # A node that has told of no plugin yet may be new.
    if not found and node.plugins and plugin not in node.plugins:
        return f"it has no {plugin!r} in plugins.enabled"
    return found


def follow(found: Rollout, nodes: Nodes) -> Rollout:
    """Return the rollout after what its nodes have told."""
    for name, node in found.nodes.items():
        now = nodes.get(name, ABSENT)
        changed = _followed(node, now.told.get(found.plugin), is_online=now.is_online)
        if node.progress == "sent" and changed != node:
            found = with_node(found, name, changed)
    canary = found.nodes.get(found.canary)
    if canary is not None and canary.progress == "failed" and not found.stopped:
        return stop(found, f"{found.canary}: {sentences(canary.reason)}")
    return found


def due(found: Rollout) -> list[str]:
    """Return the nodes that are to get their orders now."""
    if found.stopped:
        return []
    canary = found.nodes.get(found.canary)
    if canary is not None and canary.progress != "done":
        return [found.canary] if canary.progress == "waiting" else []
    return [name for name, node in found.nodes.items() if node.progress == "waiting"]


def stop(found: Rollout, reason: str) -> Rollout:
    return msgspec.structs.replace(found, stopped=reason)


def with_node(found: Rollout, name: str, node: NodeRollout) -> Rollout:
    return msgspec.structs.replace(found, nodes={**found.nodes, name: node})


def _followed(node: NodeRollout, told: DeliveryState | None, *, is_online: bool) -> NodeRollout:
    replace = msgspec.structs.replace
    if told is not None and told.release == node.release:
        node = replace(node, phase=told.phase, reason=told.reason)
        if told.phase in (KEPT, SHADOW):
            return replace(node, progress="done")
        return replace(node, progress="failed") if told.phase in NOT_KEPT else node
    if told is not None and told.refused and told.refused_ms != node.refused_ms:
        return replace(node, progress="failed", phase="refused", reason=told.refused)
    return replace(node, phase="" if is_online else AWAY)
