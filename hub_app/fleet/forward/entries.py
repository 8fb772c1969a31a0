"""Entries of the live state that are to be forwarded: the newest value of each changed topic."""

import threading
from collections.abc import Callable, Iterable, Sequence

import msgspec

from bus.contract.description import About, SensorDescription
from bus.contract.topics import TopicKind
from hub_app.alarms.rules import Rule
from hub_app.fleet.forward.database import FleetDatabase
from hub_app.fleet.forward.history_source import SensorName
from hub_app.live.change import Change

_NO_ENTRY = frozenset({TopicKind.LOG, TopicKind.EVENT, TopicKind.RESULT, TopicKind.BACKLOG})
_ENCODER = msgspec.json.Encoder()


class ChangedEntries:
    """The newest change of each topic. The event loop puts, the forwarder's thread takes."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._changes: dict[str, Change] = {}

    def put(self, changes: Sequence[Change], _now_ms: int = 0) -> None:
        with self._lock:
            for change in changes:
                if change.kind not in _NO_ENTRY:
                    self._changes[change.topic] = change

    def take(self) -> dict[str, Change]:
        with self._lock:
            taken, self._changes = self._changes, {}
        return taken

    def put_back(self, changes: Iterable[Change]) -> None:
        """Return what could not be forwarded; newer changes win."""
        with self._lock:
            for change in changes:
                self._changes.setdefault(change.topic, change)


class EntryFeed:
    """Forwards changed entries, and the descriptions of nodes and sensors among them.

    Raises FleetUnavailableError.
    """

    def __init__(
        self,
        entries: ChangedEntries,
        database: FleetDatabase,
        rules: Callable[[], Sequence[Rule]] = list,
    ) -> None:
        self._entries = entries
        self._rules = rules
        # The rules that are stored, once they are.
        self._stored_rules: str | None = None
        self._database = database
        # Topics of an earlier time, removed while this hub was not connected.
        self._former = database.known_topics()

    def forward(self) -> None:
        self._describe_site()
        changes = self._entries.take()
        try:
            self._store(changes)
        except BaseException:
            self._entries.put_back(changes.values())
            raise

    def forget_former(self, topics: Iterable[str]) -> None:
        """Remove what is not among the topics of the hub."""
        gone = self._former - set(topics)
        if gone:
            self._database.store_entries(dict.fromkeys(gone))
        self._former = set()

    def _describe_site(self) -> None:
        rules = _ENCODER.encode(self._rules()).decode()
        if rules != self._stored_rules:
            self._database.describe_site(self._database.settings.page.rstrip("/"), rules)
            self._stored_rules = rules

    def _store(self, changes: dict[str, Change]) -> None:
        if not changes:
            self._database.note_seen()
            return
        self._database.store_entries(
            {
                topic: None if change.value is None else _ENCODER.encode(change.value).decode()
                for topic, change in changes.items()
            }
        )
        self._describe(changes.values())

    def _describe(self, changes: Iterable[Change]) -> None:
        sensors, nodes = [], []
        for change in changes:
            described = getattr(change.value, "description", None)
            if isinstance(described, SensorDescription):
                name = SensorName(change.node, change.name, described.plugin)
                text = _ENCODER.encode(described).decode()
                sensors.append((name, described.title, described.area, text))
            elif isinstance(described, About):
                nodes.append((change.node, described.title, described.area))
        if sensors:
            self._database.describe(sensors)
        if nodes:
            self._database.describe_nodes(nodes)
