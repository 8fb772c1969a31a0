"""Versions that the hub wants at its nodes, and the rollouts that bring them there. Pure.

A release number only grows, also after a restore of an older backup: it is at least the time.
"""

from collections.abc import Container, Iterator, Sequence

import msgspec

from bus.contract.bounds import LARGEST_INTEGER, Name
from bus.errors import MisconfiguredError
from hub_app.nodes.delivery import rollout
from hub_app.nodes.delivery.rollout import ABSENT, NodeNow, NodeRollout, Nodes, Rollout, Target

# Versions of a node to go back to, the newest first.
_MAX_FORMER = 5
# A number that a node tells and that another one may follow still.
_MAX_TOLD = LARGEST_INTEGER // 2


class Wanted(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The version of a plugin that is wanted at a node, and those that were kept there before."""

    release: int
    target: Target = Target()
    is_kept: bool = False
    former: list[Target] = []


class Deliveries(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All that is wanted, by node and plugin, and the last rollout of each plugin."""

    last_release: int = 0
    wanted: dict[Name, dict[Name, Wanted]] = {}
    rollouts: dict[Name, Rollout] = {}

    def digests(self) -> set[str]:
        """The files that may be sent still."""
        return {target.sha256 for target in self._targets()} - {""}

    def _targets(self) -> Iterator[Target]:
        for found in self.rollouts.values():
            yield found.target
        for plugins in self.wanted.values():
            for one in plugins.values():
                yield one.target
                yield from one.former


def start(found: Deliveries, made: Rollout) -> Deliveries:
    """Return the deliveries with another rollout, in place of the plugin's last one."""
    return msgspec.structs.replace(found, rollouts={**found.rollouts, made.plugin: made})


def step(found: Deliveries, nodes: Nodes, now_ms: int, gone: Container[str] = ()) -> Deliveries:
    """Return the deliveries after what nodes have told, with what is due ordered.

    `gone` are the digests of files that the hub has no more.
    """
    for running in list(found.rollouts.values()):
        if not running.is_over:
            found = _step(found, running, nodes, now_ms, gone)
    return found


def component_at(found: Deliveries, node: str, digest: str) -> bool:
    """Whether a component is wanted at a node, which may then fetch it."""
    return any(
        one.target.form == "component" and one.target.sha256 == digest
        for one in found.wanted.get(node, {}).values()
    )


def has_refused(found: Deliveries, node: str, plugin: str, release: int) -> bool:
    """Whether a node refused an order, which it has not taken. Its clock may say anything."""
    running = found.rollouts.get(plugin)
    now = None if running is None else running.nodes.get(node)
    return now is not None and now.release == release and now.progress == "failed"


def shadow_at(found: Deliveries, plugin: str, nodes: Sequence[str]) -> Target:
    """Return the version in the shadow at these nodes, as one that is to run.

    Raises MisconfiguredError where it is not the same one at all of them.
    """
    none = Wanted(release=0)
    targets = {found.wanted.get(name, {}).get(plugin, none).target for name in nodes}
    if len(targets) != 1 or not all(target.is_shadow for target in targets):
        raise MisconfiguredError(
            f"found no version of {plugin} in the shadow at {', '.join(nodes) or 'no node'}, "
            "expected the same one at each"
        )
    return msgspec.structs.replace(targets.pop(), is_shadow=False)


def without_nodes(found: Deliveries, gone: Container[str]) -> Deliveries:
    """Return the deliveries without nodes that were removed."""
    if not any(name in gone for name in found.wanted):
        return found
    left = {name: plugins for name, plugins in found.wanted.items() if name not in gone}
    return msgspec.structs.replace(found, wanted=left)


def _step(
    found: Deliveries, running: Rollout, nodes: Nodes, now_ms: int, gone: Container[str]
) -> Deliveries:
    followed = rollout.follow(rollout.resolve(running, nodes), nodes)
    for name, node in followed.nodes.items():
        if node.progress == "done" and node != running.nodes.get(name):
            found = _kept(found, name, followed.plugin, node.release)
    for name in rollout.due(followed):
        if target := _gone_for(found, followed, name, gone):
            found, followed = _without(found, followed, name, target)
        else:
            now = nodes.get(name, ABSENT)
            found, followed = _ordered(found, followed, name, now, now_ms)
    # A canary that cannot get it stops the rollout at once.
    return start(found, rollout.follow(followed, nodes))


def _gone_for(
    found: Deliveries, running: Rollout, name: str, gone: Container[str]
) -> Target | None:
    """Return the version that a node would be ordered to run, where its file is gone."""
    before = found.wanted.get(name, {}).get(running.plugin)
    target = _wanted(running, before, 0).target
    return target if target.sha256 and target.sha256 in gone else None


def _without(
    found: Deliveries, running: Rollout, name: str, target: Target
) -> tuple[Deliveries, Rollout]:
    """Return both after a node could not get a version, which is none to go back to any more."""
    version = target.version or target.sha256[:12]
    reason = f"the file of version {version} is gone from the hub; deploy it again"
    if running.action == "rollback":
        reason += ", or roll back once more, to the one before it"
    plugins = found.wanted.get(name, {})
    if running.plugin in plugins:
        one = plugins[running.plugin]
        left = [former for former in one.former if former.sha256 != target.sha256]
        one = msgspec.structs.replace(one, former=left)
        wanted = {**found.wanted, name: {**plugins, running.plugin: one}}
        found = msgspec.structs.replace(found, wanted=wanted)
    failed = NodeRollout(progress="failed", phase="refused", reason=reason)
    return found, rollout.with_node(running, name, failed)


def _ordered(
    found: Deliveries, running: Rollout, name: str, node: NodeNow, now_ms: int
) -> tuple[Deliveries, Rollout]:
    """Return both with the order of one node."""
    last = max(found.last_release + 1, now_ms)
    told = node.told.get(running.plugin)
    if told is not None and told.phase == rollout.KEPT:
        # The rollout before may have been replaced as soon as the node kept its version.
        found = _kept(found, name, running.plugin, told.release)
    # A hub whose file was lost, or whose clock was ahead, is behind a node: that is of this node
    # alone, as any node may say anything.
    release = max(last, told.release + 1) if told and told.release < _MAX_TOLD else last
    plugins = found.wanted.get(name, {})
    made = _wanted(running, plugins.get(running.plugin), release)
    if obstacle := rollout.obstacle(running.plugin, made.target, node):
        failed = NodeRollout(progress="failed", phase="refused", reason=obstacle)
        return found, rollout.with_node(running, name, failed)
    found = msgspec.structs.replace(
        found,
        last_release=last,
        wanted={**found.wanted, name: {**plugins, running.plugin: made}},
    )
    sent = NodeRollout(
        progress="sent", release=release, refused_ms=told.refused_ms if told is not None else 0
    )
    return found, rollout.with_node(running, name, sent)


def _wanted(running: Rollout, before: Wanted | None, release: int) -> Wanted:
    former = [] if before is None else before.former
    if running.action == "rollback":
        # Back from one that did not hold is back to what runs already.
        target = former[0] if former else Target(probation=running.target.probation)
        return Wanted(release=release, target=target, former=former[1:])
    if before is not None and before.is_kept and before.target != running.target:
        former = [before.target, *former][:_MAX_FORMER]
    return Wanted(release=release, target=running.target, former=former)


def _kept(found: Deliveries, name: str, plugin: str, release: int) -> Deliveries:
    plugins = found.wanted.get(name, {})
    wanted = plugins.get(plugin)
    if wanted is None or wanted.release != release or wanted.target.is_shadow:
        return found
    kept = msgspec.structs.replace(wanted, is_kept=True)
    return msgspec.structs.replace(found, wanted={**found.wanted, name: {**plugins, plugin: kept}})
