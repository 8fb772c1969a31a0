"""Reading: one sample of a sensor, and the decoder of its payload."""

from typing import Literal

import msgspec

from bus.contract.bounds import (
    BoundedValue,
    Count,
    Data,
    Milliseconds,
    Name,
    OptionalId,
    RandomId,
    Word,
)

# Whether the node's clock was right when a reading was taken: `set`; not yet, so that its time may
# be corrected later: `unset`; not, and its time was worked out when it was: `redated`.
ClockState = Literal["set", "unset", "redated"]

# Strings that are remembered, of each sort.
_MAX_REMEMBERED = 65_536


class Reading(msgspec.Struct, frozen=True, gc=False):
    """One sample. (`node`, `stream`, `seq`) identifies it for ever. Missing values are absent.

    `monotonic_ms` counts since the boot of the machine that `boot_id` names, so a reading can be
    dated again; `boot_id` is empty where the time is not of the machine's clock. `plugin` is the
    plugin that returned the reading, empty where a node has no plugin for it. `CheckedReading` has
    the patterns of the strings.
    """

    node: str
    sensor_id: str
    timestamp_ms: Milliseconds
    stream: str
    seq: Count
    data: dict[str, BoundedValue]
    plugin: str = ""
    boot_id: str = ""
    monotonic_ms: Milliseconds = 0
    clock: ClockState = "set"


class CheckedReading(Reading, frozen=True, gc=False):
    """A reading whose strings are matched with their patterns as it is decoded."""

    node: Name
    sensor_id: Name
    stream: RandomId
    data: Data
    plugin: Word = ""
    boot_id: OptionalId = ""


class ReadingDecoder:
    """Decoder of readings. It matches each stream, boot, plugin and set of fields once.

    The patterns of the strings would cost three times as much as all other decoding.
    """

    def __init__(self) -> None:
        self._checked = msgspec.json.Decoder(CheckedReading)
        self._unchecked = msgspec.json.Decoder(Reading)
        self._names: set[tuple[str, str]] = set()
        self._sources: set[tuple[str, str, str]] = set()
        self._fields: set[tuple[str, ...]] = set()

    def decode(self, payload: bytes) -> Reading:
        """Return the reading that a payload spells. Raises msgspec.DecodeError."""
        found = self._unchecked.decode(payload)
        names = (found.node, found.sensor_id)
        source = (found.stream, found.plugin, found.boot_id)
        fields = tuple(found.data)
        if names in self._names and source in self._sources and fields in self._fields:
            return found
        self._checked.decode(payload)
        if max(len(self._names), len(self._sources), len(self._fields)) >= _MAX_REMEMBERED:
            self._forget()
        self._names.add(names)
        self._sources.add(source)
        self._fields.add(fields)
        return found

    def _forget(self) -> None:
        self._names.clear()
        self._sources.clear()
        self._fields.clear()
