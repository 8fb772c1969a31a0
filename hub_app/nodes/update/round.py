"""Round of updates: one node after the other, the canary first. Pure.

A node is asked to look at the hub, and its machine does the rest. The next one is asked when it has
told that it kept the new version. A failure stops the round. A node that is away is asked when it
comes; the others need not wait for it, unless it is the canary.
"""

from collections.abc import Mapping
from typing import Literal

import msgspec

from bus.contract.bounds import Name
from bus.contract.messages import UpdateState
from bus.install.update_record import FAILED, KEPT, ROLLED_BACK, UP_TO_DATE

# Fetching, installing and a first compilation of plugins, on a Pi Zero.
LONGEST_MS = 60 * 60_000

Progress = Literal["waiting", "asked", "done", "failed"]


class NodeUpdate(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where a node is in the round. `seen` is what it told of earlier updates when it was asked."""

    progress: Progress = "waiting"
    asked_ms: int = 0
    seen: UpdateState | None = None
    phase: str = ""
    reason: str = ""


class Round(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The nodes in their order. `stopped` says why no more of them are asked."""

    started_ms: int = 0
    canary: str = ""
    nodes: dict[Name, NodeUpdate] = {}
    stopped: str = ""

    @property
    def asked(self) -> str:
        """The node that is being updated, empty where there is none."""
        return next((name for name, node in self.nodes.items() if node.progress == "asked"), "")

    @property
    def is_over(self) -> bool:
        """Whether nothing more will happen by itself."""
        waits = any(node.progress in ("waiting", "asked") for node in self.nodes.values())
        return bool(self.stopped) or not waits


class NodeNow(msgspec.Struct, frozen=True):
    """A node as the hub knows it now."""

    is_online: bool
    told: UpdateState | None = None


def begin(names: list[str], canary: str, now_ms: int) -> Round:
    """Return the round of these nodes, the canary first."""
    ordered = dict.fromkeys([*([canary] if canary else []), *names])
    return Round(started_ms=now_ms, canary=canary, nodes={name: NodeUpdate() for name in ordered})


def follow(found: Round, nodes: Mapping[str, NodeNow], now_ms: int) -> Round:
    """Return the round after what its node has told, or has not told for too long."""
    name = found.asked
    if not name or found.stopped:
        return found
    update, now = found.nodes[name], nodes.get(name, NodeNow(is_online=False))
    told = now.told if now.told != update.seen else None
    if told is not None:
        update = msgspec.structs.replace(update, phase=told.phase, reason=told.reason)
        if told.phase in (KEPT, UP_TO_DATE):
            return _with(found, name, msgspec.structs.replace(update, progress="done"))
        if told.phase in (ROLLED_BACK, FAILED):
            return fail(_with(found, name, update), name, told.reason or told.phase)
    if now_ms - update.asked_ms > LONGEST_MS:
        if now.is_online:
            return fail(found, name, f"told no outcome in {LONGEST_MS // 60_000} minutes")
        update = msgspec.structs.replace(update, progress="waiting")
    return found if update == found.nodes[name] else _with(found, name, update)


def next_node(found: Round, nodes: Mapping[str, NodeNow]) -> str:
    """Return the node to ask now, empty where none is due."""
    if found.stopped or found.asked:
        return ""
    waiting = [name for name, node in found.nodes.items() if node.progress == "waiting"]
    if found.canary in waiting:
        waiting = [found.canary]
    return next((name for name in waiting if name in nodes and nodes[name].is_online), "")


def ask(found: Round, name: str, told: UpdateState | None, now_ms: int) -> Round:
    """Return the round in which a node is asked."""
    return _with(found, name, NodeUpdate(progress="asked", asked_ms=now_ms, seen=told))


def fail(found: Round, name: str, reason: str) -> Round:
    """Return the round that a node's failure has stopped."""
    update = msgspec.structs.replace(found.nodes[name], progress="failed", reason=reason)
    return msgspec.structs.replace(_with(found, name, update), stopped=f"{name}: {reason}")


def _with(found: Round, name: str, update: NodeUpdate) -> Round:
    return msgspec.structs.replace(found, nodes={**found.nodes, name: update})
