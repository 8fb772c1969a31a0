"""Views of messages, as the live state holds them and the page gets them."""

import hashlib

import msgspec

from bus.contract.description import About, SensorDescription
from bus.contract.messages import Oled, PluginRecord, RecordReason, Value, encode


class ReadingView(msgspec.Struct, frozen=True, gc=False):
    """A reading as the page shows it.

    `at_ms` is when it was taken, by the hub's clock, never in the future; it is stale
    `stale_after_ms` later. `timestamp_ms` is the node's own.
    """

    sensor_id: str
    timestamp_ms: int
    data: dict[str, Value]
    at_ms: int
    stale_after_ms: int


class OledView(msgspec.Struct, frozen=True):
    """A display as the page shows it; the page fetches a new picture when `digest` changes."""

    width: int
    height: int
    on: bool
    digest: str


class DescriptionView(msgspec.Struct, frozen=True, weakref=True):
    """A description as the page shows it; the page is rendered again when `digest` changes."""

    digest: str
    description: SensorDescription | About


class RecordView(msgspec.Struct, frozen=True):
    """A plugin's record as the page shows it: all but its content, of `size_bytes`."""

    reason: RecordReason
    sha256: str
    made_ms: int
    polls: int
    missing: int
    fault: str
    size_bytes: int


def record_view(record: PluginRecord) -> RecordView:
    return RecordView(
        record.reason,
        record.sha256,
        record.made_ms,
        record.polls,
        record.missing,
        record.fault,
        len(record.content),
    )


def oled_view(oled: Oled) -> OledView:
    return OledView(
        oled.width, oled.height, oled.on, _digest(b"%d %d " % (oled.width, oled.on) + oled.frame)
    )


def view_of(message: Oled | PluginRecord) -> OledView | RecordView:
    return oled_view(message) if isinstance(message, Oled) else record_view(message)


def description_view(description: SensorDescription | About) -> DescriptionView:
    return DescriptionView(_digest(encode(description)), description)


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]
