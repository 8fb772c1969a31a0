"""Carries out the removals file in a running hub: broker, live state, history.

All of it runs on the event loop, each second, and is repeated: a last will or a restored store may
bring back what was cleared.
"""

import logging
from collections.abc import Callable
from functools import partial
from pathlib import Path

import msgspec

from broker.auth.accounts import AccountsFile
from bus.contract.topics import ROOT, Topic, TopicKind, topic_filter
from bus.errors import MisconfiguredError
from bus.files.file_stamp import FileStamp, stamp_of
from hub_app.history import removal
from hub_app.history.removal import HistoryJob
from hub_app.hub import Hub
from hub_app.live.change import Change
from hub_app.live.presence import MISSED_CYCLES
from hub_app.nodes.removal import removals
from hub_app.nodes.removal.removals import Removals, Removed

logger = logging.getLogger(__name__)

# Clears the retained messages that match a filter and were stored until a time; returns how many.
ClearRetained = Callable[[str, int], int]
_FOREVER_MS = 2**62


class Remover:
    """Follows the removals at `path` and the accounts at `accounts_path`.

    `clear_retained` is None where the broker is not embedded: the topics of the live state are
    cleared over the bus then. Raises MisconfiguredError where a file cannot be used.
    """

    def __init__(
        self, path: Path, accounts_path: Path, own_node: str, clear_retained: ClearRetained | None
    ) -> None:
        self.path = path
        self.accounts_path = accounts_path
        self.own_node = own_node
        self._accounts = AccountsFile(accounts_path)
        self._clear_retained = clear_retained
        self._stamp: FileStamp = None
        self._jobs: dict[str, HistoryJob] = {}
        self._removals = Removals()
        # Removed sensors whose description is still there.
        self._silent: set[str] = set()
        # Read by the threads of the bus and the history.
        self.gone: frozenset[str] = frozenset()
        self._refresh()

    def hides(self, topic: str) -> bool:
        """Whether a topic is one of a removed node. Any thread may call."""
        if not self.gone:
            return False
        _, _, rest = topic.partition("/")
        return rest.partition("/")[0] in self.gone

    def clear_leftovers(self) -> None:
        """Clear the broker's store before anyone hears of it."""
        if self._clear_retained is not None:
            for node in self.gone:
                self._clear_retained(f"{ROOT}/{node}/#", _FOREVER_MS)
            for name, removed in self._removals.sensors.items():
                node, _, sensor = name.partition(":")
                self._clear_retained(
                    topic_filter(TopicKind.READING, node, sensor), removed.removed_ms
                )

    def run(self, hub: Hub) -> None:
        """Carry out what is new, and again what has come back."""
        self._refresh()
        for node in self.gone:
            self._remove_node(hub, node)
        for name, removed in self._removals.sensors.items():
            self._remove_sensor(hub, name, removed)
        for old, new in self._removals.renames.items():
            self._change_history(
                hub,
                f"rename {old}",
                partial(removal.rename_node, old=old, new=new),
                partial(_without_rename, old),
            )

    def _refresh(self) -> None:
        self._accounts.refresh()
        stamp = stamp_of(self.path)
        if stamp != self._stamp:
            self._stamp = stamp
            try:
                self._removals = removals.load(self.path)
            except MisconfiguredError as e:
                logger.error("nothing is removed: %s", e)  # noqa: TRY400 - the text has the cause
                return
        enrolled = self._accounts.accounts.nodes.keys() & self._removals.nodes.keys()
        if enrolled:
            logger.info("enrolled again: %s", ", ".join(sorted(enrolled)))
            removals.change(self.path, partial(_without_nodes, enrolled))
            self._stamp, self._removals = stamp_of(self.path), removals.load(self.path)
        self.gone = frozenset(self._removals.nodes)

    def _remove_node(self, hub: Hub, node: str) -> None:
        if node in hub.state.nodes:
            self._clear(hub, [Topic(node, TopicKind.STATUS)], hub.state.of_node(node))
            hub.remove_node(node)
            logger.info("%s was removed", node)
        if self._clear_retained is not None:
            self._clear_retained(f"{ROOT}/{node}/#", _FOREVER_MS)
        if self._removals.nodes[node].history:
            hub.logs.forget(node)
            self._change_history(
                hub,
                f"node {node}",
                partial(removal.hide_node, node=node),
                partial(_with_history_deleted, "nodes", node),
            )

    def _remove_sensor(self, hub: Hub, name: str, removed: Removed) -> None:
        node, _, sensor = name.partition(":")
        topic = Topic(node, TopicKind.READING, sensor)
        if self._clear_retained is not None:
            self._clear_retained(topic_filter(TopicKind.READING, node, sensor), removed.removed_ms)
        if hub.remove_reading(topic, removed.removed_ms):
            logger.info("sensor %s was removed", name)
            self._clear(hub, [topic], [])
            self._silent.add(name)
        if name in self._silent:
            self._remove_description(hub, name, removed)
        if removed.history:
            self._change_history(
                hub,
                f"sensor {name}",
                partial(removal.hide_sensor, node=node, sensor=sensor),
                partial(_with_history_deleted, "sensors", name),
            )

    def _remove_description(self, hub: Hub, name: str, removed: Removed) -> None:
        """Clear the description of a removed sensor, once it has missed its next readings.

        A node publishes it at its start only, so a sensor that goes on must not lose it.
        """
        node, _, sensor = name.partition(":")
        described = hub.state.description(node, sensor)
        if described is None or hub.state.has_reading(node, sensor):
            self._silent.discard(name)
        elif hub.now_ms() - removed.removed_ms > MISSED_CYCLES * described.interval_s * 1000:
            topic = Topic(node, TopicKind.SENSOR, sensor)
            if self._clear_retained is not None:
                self._clear_retained(str(topic), _FOREVER_MS)
            hub.on_removed(topic)
            self._clear(hub, [topic], [])
            self._silent.discard(name)

    def _clear(self, hub: Hub, topics: list[Topic], entries: list[Change]) -> None:
        """Clear retained topics over the bus, where the broker is another program."""
        if self._clear_retained is not None:
            return
        kept = [Topic(entry.node, entry.kind, entry.name) for entry in entries]
        for topic in {*topics, *kept}:
            if topic.channel.retain:
                hub.bus.publish_payload(topic, b"")

    def _change_history(
        self,
        hub: Hub,
        key: str,
        change: Callable[..., None],
        done: Callable[[Removals], Removals],
    ) -> None:
        """Let the history's thread make a change, and note in the file when it is made."""
        job = self._jobs.get(key)
        if job is None or job.is_failed:
            job = self._jobs[key] = HistoryJob(change)
            hub.history.request(job)
        elif job.is_done.is_set():
            del self._jobs[key]
            removals.change(self.path, done)


def _without_nodes(names: set[str], found: Removals) -> Removals:
    nodes = {name: removed for name, removed in found.nodes.items() if name not in names}
    return msgspec.structs.replace(found, nodes=nodes)


def _without_rename(old: str, found: Removals) -> Removals:
    renames = {name: new for name, new in found.renames.items() if name != old}
    return msgspec.structs.replace(found, renames=renames)


def _with_history_deleted(field: str, name: str, found: Removals) -> Removals:
    kept: dict[str, Removed] = getattr(found, field)
    if name not in kept:
        return found
    changed = {**kept, name: msgspec.structs.replace(kept[name], history=False)}
    return msgspec.structs.replace(found, **{field: changed})
