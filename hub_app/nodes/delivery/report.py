"""Report of deliveries: versions wanted and running at nodes, and progress of rollouts."""

import msgspec

from bus.contract.messages import DeliveryState, PluginState
from bus.contract.topics import Topic, TopicKind
from hub_app.http.slices import sliced
from hub_app.live.state import State
from hub_app.nodes.delivery.rollout import Rollout
from hub_app.nodes.delivery.wanted import Deliveries, Wanted


class PluginVersion(msgspec.Struct, frozen=True):
    """A plugin at a node. Versions are the author's; a release of 0 is the node's own file.

    `can_go_back` tells whether there is another version to go back to.
    """

    node: str
    plugin: str
    state: str
    version: str
    sha256: str
    release: int
    wanted_version: str = ""
    wanted_sha256: str = ""
    wanted_release: int = 0
    phase: str = ""
    polls: int = 0
    probation: int = 0
    reason: str = ""
    refused: str = ""
    can_go_back: bool = False


class DeliveryProgress(msgspec.Struct, frozen=True):
    """A node in a rollout; `phase` is what it told last, `reason` why it did not keep it."""

    node: str
    progress: str
    phase: str
    reason: str


class RolloutReport(msgspec.Struct, frozen=True):
    """The last rollout of a plugin; `stopped` says why it goes no further."""

    plugin: str
    action: str
    started_ms: int
    version: str
    sha256: str
    canary: str
    stopped: str
    is_over: bool
    nodes: list[DeliveryProgress]


def rollout(found: Rollout) -> RolloutReport:
    return RolloutReport(
        plugin=found.plugin,
        action=found.action,
        started_ms=found.started_ms,
        version=found.target.version,
        sha256=found.target.sha256,
        canary=found.canary,
        stopped=found.stopped,
        is_over=found.is_over,
        nodes=[
            DeliveryProgress(name, node.progress, node.phase, node.reason)
            for name, node in found.nodes.items()
        ],
    )


async def plugins(found: Deliveries, state: State) -> list[PluginVersion]:
    """Return every plugin of every node that is known or that something is wanted at.

    Of a fleet, they are made in slices.
    """
    nodes: dict[str, set[str]] = {}
    async for entry in sliced(state.of_kind(TopicKind.PLUGIN)):
        nodes.setdefault(entry.name, set()).add(entry.node)
    async for node, names in sliced(found.wanted.items()):
        for name in names:
            nodes.setdefault(name, set()).add(node)
    pairs = ((node, name) for name in sorted(nodes) for node in sorted(nodes[name]))
    return [
        _version(node, name, found.wanted.get(node, {}).get(name), state)
        async for node, name in sliced(pairs)
    ]


def _version(node: str, plugin: str, wanted: Wanted | None, state: State) -> PluginVersion:
    runs: PluginState | None = state.value(Topic(node, TopicKind.PLUGIN, plugin))
    told: DeliveryState | None = state.value(Topic(node, TopicKind.DELIVERY, plugin))
    version = PluginVersion(
        node=node,
        plugin=plugin,
        state=runs.state if runs is not None else "",
        version=runs.version if runs is not None else "",
        sha256=runs.sha256 if runs is not None else "",
        release=told.running if told is not None else 0,
        refused=told.refused if told is not None else "",
    )
    if wanted is None:
        return version
    is_told = told is not None and told.release == wanted.release
    return msgspec.structs.replace(
        version,
        wanted_version=wanted.target.version,
        wanted_sha256=wanted.target.sha256,
        wanted_release=wanted.release,
        phase=told.phase if told is not None and is_told else "sent",
        polls=told.polls if told is not None and is_told else 0,
        probation=wanted.target.probation,
        reason=told.reason if told is not None and is_told else "",
        can_go_back=bool(wanted.target.sha256 or wanted.former),
    )
