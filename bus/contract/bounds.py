"""Bounds of everything that a message may carry: numbers, strings, lists and payload sizes.

A payload beyond a bound is refused by `bus.contract.messages.decode`, before anything is kept of
it. The table in topics.md is made from these types (`tests.bus.contract.bounds_table`).
"""

from typing import Annotated

import msgspec

from bus.contract.topics import NAME_PATTERN, NAME_RULE, TopicKind

# The largest integer that every JSON reader keeps exact, and far below SQLite's own limit.
LARGEST_INTEGER = 2**53
# 2200-01-01T00:00:00Z.
LATEST_MS = 7_258_118_400_000

MAX_FIELDS = 64
MAX_FIELD_CHARS = 64
MAX_TEXT_CHARS = 256
MAX_LOG_CHARS = 4096
MAX_ERROR_CHARS = 2000
MAX_BACKLOG = 500
MAX_RANGES = 1000
MAX_LEDS = 256
# In base64 with its order, it fits into a packet of the embedded broker.
MAX_BUNDLE_BYTES = 150_000
# Of a component, which is a file and no message; those of Python have 18 MB.
MAX_COMPONENT_BYTES = 64_000_000
MAX_PLUGINS = 64
# Of a record of a plugin, whose message has it as base64: a packet of the broker holds 256 KB.
MAX_RECORD_BYTES = 144 * 1024

_NO_CONTROLS = r"^[^\x00-\x1f\x7f-\x9f\u2028\u2029]*\Z"
OPTIONAL_NAME_PATTERN = r"^([a-z0-9]([a-z0-9-]*[a-z0-9])?)?\Z"
_ID = r"^[A-Za-z0-9._:-]*\Z"
_HEX = r"^[0-9a-f]*\Z"
_COLOR = r"^#[0-9a-f]{6}\Z"
# What the patterns allow, in words for error messages.
PATTERN_WORDS = {
    NAME_PATTERN: f"a name of {NAME_RULE}",
    _NO_CONTROLS: "a string without control characters",
    OPTIONAL_NAME_PATTERN: f"a name of {NAME_RULE}, or nothing",
    _ID: "a string of letters, digits and . _ : -",
    _HEX: "a string of 0-9 and a-f",
    _COLOR: 'a colour like "#ff8800"',
}

Name = Annotated[str, msgspec.Meta(pattern=NAME_PATTERN)]
# A stream or a boot.
RandomId = Annotated[str, msgspec.Meta(min_length=1, max_length=64, pattern=_ID)]
OptionalId = Annotated[str, msgspec.Meta(max_length=64, pattern=_ID)]
FieldName = Annotated[
    str, msgspec.Meta(min_length=1, max_length=MAX_FIELD_CHARS, pattern=_NO_CONTROLS)
]
# A sensor or plugin; empty where there is none.
OptionalName = Annotated[str, msgspec.Meta(max_length=64, pattern=OPTIONAL_NAME_PATTERN)]
OptionalField = Annotated[str, msgspec.Meta(max_length=MAX_FIELD_CHARS, pattern=_NO_CONTROLS)]
# A sentence, on one line.
Line = Annotated[str, msgspec.Meta(max_length=MAX_TEXT_CHARS, pattern=_NO_CONTROLS)]
# The name of something, on one line.
ShadowLines = Annotated[list[Line], msgspec.Meta(max_length=10)]
ShadowName = Annotated[str, msgspec.Meta(max_length=130, pattern=_NO_CONTROLS)]
Word = Annotated[str, msgspec.Meta(max_length=80, pattern=_NO_CONTROLS)]
Sha256 = Annotated[str, msgspec.Meta(max_length=64, pattern=_HEX)]
CommandId = Annotated[str, msgspec.Meta(max_length=64)]
LogText = Annotated[str, msgspec.Meta(max_length=MAX_LOG_CHARS)]
ErrorText = Annotated[str, msgspec.Meta(max_length=MAX_ERROR_CHARS)]
HexColor = Annotated[str, msgspec.Meta(pattern=_COLOR)]

Milliseconds = Annotated[int, msgspec.Meta(ge=0, le=LATEST_MS)]
Count = Annotated[int, msgspec.Meta(ge=0, le=LARGEST_INTEGER)]
# Three thousand years, and a thousand terabytes.
Seconds = Annotated[float, msgspec.Meta(ge=0, le=1e11)]
Megabytes = Annotated[float, msgspec.Meta(ge=0, le=1e9)]
# Up to a day, however slow a cycle is.
LONGEST_CYCLE_MS = 86_400_000
CycleMilliseconds = Annotated[float, msgspec.Meta(ge=0, le=LONGEST_CYCLE_MS)]
IntervalSeconds = Annotated[float, msgspec.Meta(ge=0.1, le=3600)]

# Of an OLED: room for other displays; whole bytes, since a row is packed into them.
Width = Annotated[int, msgspec.Meta(ge=8, le=256, multiple_of=8)]
Height = Annotated[int, msgspec.Meta(ge=1, le=256)]

Number = (
    Annotated[float, msgspec.Meta(ge=-LARGEST_INTEGER, le=LARGEST_INTEGER)]
    | Annotated[int, msgspec.Meta(ge=-LARGEST_INTEGER, le=LARGEST_INTEGER)]
)
# A value of a reading. Files that hold older ones are read without the bounds.
Value = float | int | str | bool
BoundedValue = Number | Annotated[str, msgspec.Meta(max_length=MAX_TEXT_CHARS)] | bool
Data = Annotated[dict[FieldName, BoundedValue], msgspec.Meta(max_length=MAX_FIELDS)]
Range = tuple[Count, Count]
Ranges = Annotated[list[Range], msgspec.Meta(max_length=MAX_RANGES)]

# A larger payload is not even decoded. A packet of the embedded broker holds 256 KB by default.
MAX_PAYLOAD_BYTES: dict[TopicKind, int] = {
    TopicKind.STATUS: 4096,
    TopicKind.HEARTBEAT: 4096,
    TopicKind.READING: 16_384,
    TopicKind.BACKLOG: 1_048_576,
    TopicKind.STORED: 131_072,
    TopicKind.LOG: 32_768,
    TopicKind.PLUGIN: 65_536,
    TopicKind.LEDS: 8192,
    TopicKind.BUZZER: 4096,
    TopicKind.FAN: 4096,
    TopicKind.OLED: 16_384,
    TopicKind.COMMAND: 4096,
    TopicKind.RESULT: 16_384,
    TopicKind.SENSOR: 32_768,
    TopicKind.ABOUT: 8192,
    TopicKind.EVENT: 16_384,
    TopicKind.ALARM: 4096,
    TopicKind.UPDATE: 4096,
    TopicKind.BUNDLE: 204_800,
    TopicKind.DELIVERY: 8192,
    TopicKind.COSTS: 16_384,
    TopicKind.SHADOW: 65_536,
    TopicKind.RECORD: 4 * MAX_RECORD_BYTES // 3 + 4096,
}
