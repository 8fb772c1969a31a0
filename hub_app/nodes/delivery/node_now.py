"""Node as a rollout sees it: presence, plugins, what it told, and why it takes no files."""

from bus.contract.description import About
from bus.contract.topics import TopicKind
from hub_app.live.change import Change
from hub_app.live.state import State
from hub_app.nodes.delivery.rollout import NodeNow


def node_now(state: State, name: str, key: str, no_components: str = "") -> NodeNow:
    """Return a node of this hub, whose public key is `key`.

    `no_components` says why no node can fetch components.
    """
    entries = state.of_node(name)
    about = state.about(name)
    return NodeNow(
        is_online=state.presence(name).view.presence == "online",
        area="" if about is None else about.area,
        plugins=_names(entries, TopicKind.PLUGIN),
        told={entry.name: entry.value for entry in entries if entry.kind is TopicKind.DELIVERY},
        no_bundles=_no_bundles(about, key),
        no_components=no_components or _no_components(about, key),
    )


def _no_bundles(about: About | None, key: str) -> str:
    if about is None:
        return ""
    return _obstacle("bundles", about.bundle_key, about.no_bundles, key)


def _no_components(about: About | None, key: str) -> str:
    if about is None:
        return ""
    return _obstacle("components", about.component_key, about.no_components, key)


def _obstacle(what: str, found: str, told: str, key: str) -> str:
    if found == key:
        return ""
    if found:
        return "it trusts another hub's key: give it this one's, as `harvester plugins key` says"
    return f"it takes no {what}: {told or 'its program is too old'}"


def _names(entries: list[Change], kind: TopicKind) -> frozenset[str]:
    return frozenset(entry.name for entry in entries if entry.kind is kind)
