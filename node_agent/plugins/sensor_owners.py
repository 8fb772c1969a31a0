"""Owners of sensor ids: each id of a node belongs to the plugin that published it first.

A reading under another plugin's id would be taken as that plugin's, so it is refused. An id that is
called like an enabled plugin is kept for that one. Of plugins
that start together, the first in `plugins.enabled` gets an id: the others' readings under new ids
wait until those before them have polled once.
"""

import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from bus.files import json_file
from bus.files.json_file import SavedOnChange
from node_agent.plugins.readings import Sample

# A plugin whose ids never end makes the file and the hub's history grow without end.
MAX_IDS_PER_PLUGIN = 256
# A plugin that takes longer to its first poll delays the others no more.
_LONGEST_WAIT_S = 10.0
_MAX_WAITING = 256
_FREE = "sensor ids belong to whoever publishes them first"


class Admission(msgspec.Struct, frozen=True):
    """The samples that may be published, and a sentence for each id that was refused."""

    samples: list[Sample]
    problems: list[str]


class SensorOwners:
    """Owner of each sensor id of a node. Any thread may call.

    `path` keeps them over restarts; a plugin that is no longer enabled loses its ids. `save` writes
    them where they changed.
    """

    def __init__(
        self,
        enabled: Sequence[str] = (),
        path: Path | None = None,
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._monotonic_s = monotonic_s
        self._began_s = monotonic_s()
        self._order = {plugin: place for place, plugin in enumerate(enabled)}
        self._not_polled = set(enabled)
        self._waiting: dict[str, list[Sample]] = {}
        kept = {}
        if path is not None:
            kept = json_file.load(path, dict[str, str], _FREE) or {}
        self._owners = {id_: plugin for id_, plugin in kept.items() if plugin in self._order}
        self._file = SavedOnChange(path, is_saved=self._owners == kept)
        self._lock = threading.Lock()

    def admit(self, plugin: str, samples: Sequence[Sample]) -> Admission:
        """Sort the samples of one poll: those that may be published now, and what was refused.

        Samples that have to wait come with a later poll's.
        """
        with self._lock:
            self._not_polled.discard(plugin)
            samples = [*self._waiting.pop(plugin, ()), *samples]
            if self._must_wait(plugin):
                new = [sample for sample in samples if sample.sensor_id not in self._owners]
                self._waiting[plugin] = new[-_MAX_WAITING:]
                samples = [sample for sample in samples if sample.sensor_id in self._owners]
            refused = {s.sensor_id: self._refusal(plugin, s.sensor_id) for s in samples}
        return Admission(
            [sample for sample in samples if not refused[sample.sensor_id]],
            [sentence for sentence in refused.values() if sentence],
        )

    def of_plugin(self, plugin: str) -> list[str]:
        """Return the ids that belong to `plugin`."""
        with self._lock:
            return sorted(id_ for id_, owner in self._owners.items() if owner == plugin)

    def claim(self, plugin: str, sensor_id: str) -> str | None:
        """Return why `plugin` may have no events under an id, or nothing; a new id becomes its own.

        None while a plugin before it may still claim the id.
        """
        with self._lock:
            if sensor_id not in self._owners and self._must_wait(plugin):
                return None
            return self._refusal(plugin, sensor_id, "events")

    def has_polled(self, plugin: str) -> None:
        """Note that `plugin` polled, or ended before it could: others wait for it no longer."""
        with self._lock:
            self._not_polled.discard(plugin)

    def save(self) -> None:
        """Write the owners to the disk where they changed; a disk that refuses is logged once."""
        self._file.save(self._snapshot)

    def _snapshot(self) -> dict[str, str]:
        with self._lock:
            return dict(self._owners)

    def _must_wait(self, plugin: str) -> bool:
        if self._monotonic_s() - self._began_s >= _LONGEST_WAIT_S:
            return False
        place = self._order.get(plugin, 0)
        return any(self._order[other] < place for other in self._not_polled)

    def _refusal(self, plugin: str, sensor_id: str, what: str = "readings") -> str:
        """Return why `plugin` may not publish under an id; a new id becomes its own."""
        owner = self._owners.get(sensor_id)
        if owner == plugin:
            return ""
        if owner is None and sensor_id in self._order and sensor_id != plugin:
            owner = sensor_id
        if owner is not None:
            return (
                f"sensor id {sensor_id} belongs to plugin {owner}: "
                f"{what} of plugin {plugin} under it are refused"
            )
        if list(self._owners.values()).count(plugin) >= MAX_IDS_PER_PLUGIN:
            return (
                f"sensor id {sensor_id}: plugin {plugin} has {MAX_IDS_PER_PLUGIN} already, "
                "which is the most"
            )
        self._owners[sensor_id] = plugin
        self._file.changed()
        return ""
