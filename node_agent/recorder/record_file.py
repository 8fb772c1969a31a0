"""Record of a plugin's steps in one file: a line that names the format, then MessagePack in zlib.

It carries the bundle itself where that fits, so that any machine can replay it. `decode` refuses a
file that is damaged or too large.
"""

import hashlib
import zlib
from pathlib import Path

import msgspec

from bus.contract.bounds import MAX_RECORD_BYTES, Milliseconds, Name
from bus.contract.messages import RecordReason
from bus.errors import BadDataError
from node_agent.recorder.recorder import Steps
from node_agent.sandbox.limits import Limits

SUFFIX = ".record"
_HEAD = b"harvester record 1\n"
_MAX_UNPACKED_BYTES = 32 << 20
_EXPECTED = "expected a record of a plugin, from a node's page or `plugins/cmd`"
# Of the newest steps, as many are dropped at a time as make the loop short.
_DROPPED_SHARE = 4


class BadRecordError(BadDataError):
    """A file that is no record, is damaged or too large."""


class Plugin(msgspec.Struct, frozen=True):
    """The plugin that a record is of; `sha256` is of its file.

    `runtime` is the digest of the component that ran a bundle. `bundle` is that file, None of a
    component and where it did not fit. `had_code`: its compiled code came from a cache, which
    places objects elsewhere in memory.
    """

    # Of files and code that a replay writes, as is the node's: a record may come from anybody.
    name: Name
    sha256: str
    version: str = ""
    runtime: str = ""
    bundle: bytes | None = None
    had_code: bool = False


class Record(msgspec.Struct, frozen=True):
    """The steps of one instance, and what it ran with."""

    node: Name
    plugin: Plugin
    reason: RecordReason
    fault: str
    made_ms: Milliseconds
    limits: Limits
    steps: Steps


def encode(record: Record, most_bytes: int = MAX_RECORD_BYTES) -> tuple[Record, bytes]:
    """Return the record as far as it fits, and the content of its file.

    The oldest of the newest steps go first, then the bundle, then the first steps.
    """
    content = _packed(record)
    while len(content) > most_bytes:
        smaller = _smaller(record)
        if smaller is None:
            return record, b""
        record, content = smaller, _packed(smaller)
    return record, content


def decode(content: bytes, name: object) -> Record:
    """Return the record in a file's content. `name` is of the file. Raises BadRecordError."""
    if not content.startswith(_HEAD):
        raise BadRecordError(f"{name}: found no record, {_EXPECTED}")
    unpacking = zlib.decompressobj()
    try:
        packed = unpacking.decompress(content[len(_HEAD) :], _MAX_UNPACKED_BYTES)
        if not unpacking.eof or unpacking.unused_data:
            raise BadRecordError(
                f"{name}: the record is cut off or too large, or has more behind its end"
            )
        found = msgspec.msgpack.decode(packed, type=Record)
    except (zlib.error, msgspec.DecodeError) as e:
        raise BadRecordError(f"{name}: the record is damaged: {e}") from e
    plugin, steps = found.plugin, found.steps
    if plugin.bundle is not None and hashlib.sha256(plugin.bundle).hexdigest() != plugin.sha256:
        raise BadRecordError(f"{name}: the record is damaged: its bundle has another sha256")
    if not (steps.missing > 0) <= steps.newest <= len(steps.kept):
        raise BadRecordError(
            f"{name}: found {steps.newest} newest steps of {len(steps.kept)} in the record"
        )
    return found


def read(path: Path) -> Record:
    """Return the record in a file. Raises OSError, BadRecordError."""
    with path.open("rb") as file:
        return decode(file.read(_MAX_UNPACKED_BYTES), path)


def _packed(record: Record) -> bytes:
    return _HEAD + zlib.compress(msgspec.msgpack.encode(record))


def _smaller(record: Record) -> Record | None:
    """Return the record with less in it; None where nothing can go."""
    steps, plugin = record.steps, record.plugin
    count = len(steps.kept)
    if steps.newest > 1:
        dropped = max(1, (steps.newest - 1) // _DROPPED_SHARE)
        first = count - steps.newest
        left = range(first + dropped, count)
        # A replay can go on where the plugin's state was taken.
        begin = next((at for at in left if steps.kept[at].state is not None), first + dropped)
        kept = [*steps.kept[:first], *steps.kept[begin:]]
        fewer = Steps(kept, steps.missing + begin - first, count - begin)
        return msgspec.structs.replace(record, steps=fewer)
    if plugin.bundle is not None:
        without = msgspec.structs.replace(plugin, bundle=None)
        return msgspec.structs.replace(record, plugin=without)
    if count > 1:
        fewer = Steps(steps.kept[-1:], steps.missing + count - 1, 1)
        return msgspec.structs.replace(record, steps=fewer)
    return None
