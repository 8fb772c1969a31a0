"""Payloads of all topics as typed Structs, with their encoder and strict decoder.

Time is Unix epoch milliseconds, UTC. Fields that a newer node adds are ignored, so nodes can be
upgraded one by one; a field that is missing or of the wrong type is refused.
"""

from collections.abc import Callable
from typing import Annotated, Any, Literal

import msgspec

from bus.contract.bounds import (
    MAX_BACKLOG,
    MAX_BUNDLE_BYTES,
    MAX_FIELDS,
    MAX_LEDS,
    MAX_LOG_CHARS,
    MAX_PAYLOAD_BYTES,
    MAX_PLUGINS,
    MAX_RANGES,
    MAX_RECORD_BYTES,
    BoundedValue,
    CommandId,
    Count,
    CycleMilliseconds,
    Data,
    ErrorText,
    Height,
    HexColor,
    IntervalSeconds,
    Line,
    LogText,
    Megabytes,
    Milliseconds,
    Name,
    Number,
    OptionalField,
    OptionalId,
    OptionalName,
    RandomId,
    Range,
    Ranges,
    Seconds,
    Sha256,
    ShadowLines,
    ShadowName,
    Value,
    Width,
    Word,
)
from bus.contract.description import (
    About,
    SensorDescription,
    SensorSettings,
    Settings,
    SettingValues,
)
from bus.contract.mistake import first_mistake
from bus.contract.reading import CheckedReading, ClockState, Reading, ReadingDecoder
from bus.contract.topics import Topic, TopicKind
from bus.errors import BadPayloadError

__all__ = [
    "MAX_BACKLOG",
    "MAX_BUNDLE_BYTES",
    "MAX_LOG_CHARS",
    "MAX_RANGES",
    "ClockState",
    "Range",
    "Reading",
    "Value",
]

LogLevel = Literal["debug", "info", "warning", "error"]
PluginPhase = Literal["loading", "running", "failed", "disabled"]
FanMode = Literal["auto", "on", "off"]
# A poll that ended the instance, one that gave no reading and said why, or a command.
RecordReason = Literal["fault", "problem", "command"]
Severity = Literal["info", "warning", "critical"]


class Status(msgspec.Struct, frozen=True, gc=False):
    """Presence of a node. The broker publishes the offline one as the node's last will."""

    state: Literal["online", "offline"]
    role: Literal["hub", "spoke"]
    version: Word
    boot_id: OptionalId
    since_ms: Milliseconds
    # The node's cycle: three of them without a heartbeat, and the node is lost.
    interval_s: IntervalSeconds = 2.0


class Heartbeat(msgspec.Struct, frozen=True, gc=False):
    """The node's own health, once a cycle."""

    seq: Count
    uptime_s: Seconds
    rss_mb: Megabytes
    cycle_ms: CycleMilliseconds
    outbox_rows: Count
    dropped: Count
    clock_ms: Milliseconds


class Backlog(msgspec.Struct, frozen=True):
    """Readings that were not acknowledged in time, oldest first. The payload is the bare list."""

    readings: Annotated[list[Reading], msgspec.Meta(min_length=1, max_length=MAX_BACKLOG)]


_BACKLOG = Annotated[list[CheckedReading], msgspec.Meta(min_length=1, max_length=MAX_BACKLOG)]
_CHECKED_READINGS = msgspec.json.Decoder(_BACKLOG)
_READINGS = msgspec.json.Decoder(list[Reading])


class Stored(msgspec.Struct, frozen=True):
    """Readings of a stream that the hub has dealt with, as inclusive [first, last] of `seq`.

    Those in `ranges` are durable in its history; those in `refused` never will be.
    """

    stream: RandomId
    ranges: Ranges
    refused: Ranges = []


class Log(msgspec.Struct, frozen=True, gc=False):
    """One log line; `source` is `host` or `plugin:<name>`."""

    timestamp_ms: Milliseconds
    level: LogLevel
    source: Word
    message: LogText


class PluginState(msgspec.Struct, frozen=True, gc=False):
    """State of a plugin, and since when; `error` is empty unless it failed.

    `settings` has the value of each setting that holds, `described` what the author says of them.
    `sensors` has the values that single sensors have of their own, of each sensor of a plugin with
    such settings, and is empty without them. `version` is the author's, of the component that runs
    or ran last. `last_failure` stays when the plugin runs again: its traceback, or one sentence.
    """

    state: PluginPhase
    sha256: Sha256
    loaded_ms: Milliseconds
    restarts: Count
    error: ErrorText = ""
    since_ms: Milliseconds = 0
    settings: SettingValues = {}
    described: Settings = {}
    sensors: SensorSettings = {}
    version: Word = ""
    last_failure: LogText = ""


class Leds(msgspec.Struct, frozen=True, gc=False):
    """The strip as it was last written to the hardware."""

    pixels: Annotated[list[HexColor], msgspec.Meta(max_length=MAX_LEDS)]


class Buzzer(msgspec.Struct, frozen=True, gc=False):
    """State of the buzzer; `pattern` is empty while it is silent."""

    sounding: bool
    pattern: Word


class Fan(msgspec.Struct, frozen=True, gc=False):
    """The fan relay, and whether a plugin (`auto`) or a person decides."""

    on: bool
    mode: FanMode


class Oled(msgspec.Struct, frozen=True):
    """Picture on the display; a dark frame where it is switched off or does not answer.

    `frame` is base64 of `height` rows from the top, each of `width` / 8 bytes from the left; the
    highest bit of a byte is its leftmost pixel, 1 where lit. Contrast is not included.
    """

    width: Width
    height: Height
    on: bool
    frame: bytes


class Result(msgspec.Struct, frozen=True, gc=False):
    """The answer to one command; `id` is the command's own, null where it had none."""

    id: CommandId | None
    ok: bool
    error: ErrorText
    finished_ms: Milliseconds


class Event(msgspec.Struct, frozen=True):
    """Something that happened at a sensor, a pressed button for example."""

    name: Word
    data: Data
    timestamp_ms: Milliseconds


class Alarm(msgspec.Struct, frozen=True, gc=False):
    """An alarm that is active, published by the hub; an empty payload when it is over.

    `rule` is the rule that it is of and `kind` that rule's kind, `sensor` the sensor or plugin that
    it is about and `field` the value, each empty where there is none. `value` is the newest one,
    `limit` the rule's. No notification is sent until `muted_until_ms`.
    """

    severity: Severity
    text: Line
    since_ms: Milliseconds
    value: Number | None = None
    limit: Number | None = None
    acknowledged: bool = False
    rule: OptionalName = ""
    sensor: OptionalName = ""
    field: OptionalField = ""
    muted_until_ms: Milliseconds = 0
    kind: OptionalName = ""


class UpdateState(msgspec.Struct, frozen=True, gc=False):
    """Update of a node's machine: what is under way, or what became of the last one.

    `phase` is a word and no enumeration, so that a newer node may add one. `version` is the one
    that the machine had before, `target` the one that it got; `reason` says why it was not kept.
    """

    phase: Word
    version: Word
    target: Word
    reason: ErrorText = ""
    since_ms: Milliseconds = 0


class SignedBundle(msgspec.Struct, frozen=True):
    """The version of a plugin that the hub wants at a node: order, signature of it, and bundle.

    `order` is the JSON of a `bus.contract.plugin_file.order.BundleOrder`, as it was signed.
    Without `bundle`, the node is to run its own file of the plugin again.
    """

    order: Annotated[str, msgspec.Meta(max_length=2048)]
    signature: Annotated[bytes, msgspec.Meta(max_length=64)]
    bundle: Annotated[bytes, msgspec.Meta(max_length=MAX_BUNDLE_BYTES)] = b""


class DeliveryState(msgspec.Struct, frozen=True, gc=False):
    """What became of the order that a node took last, and what runs. 0 is the node's own file.

    `phase` is a word and no enumeration, so that a newer node may add one. `polls` of `probation`
    were good so far. `refused` is the reason for which the last message was refused that was no
    order for this node.
    """

    release: Count
    version: Word
    phase: Word
    reason: ErrorText = ""
    since_ms: Milliseconds = 0
    polls: Count = 0
    probation: Count = 0
    running: Count = 0
    running_version: Word = ""
    running_sha256: Sha256 = ""
    refused: ErrorText = ""
    refused_ms: Milliseconds = 0


class PluginCost(msgspec.Struct, frozen=True, gc=False):
    """Cost of one plugin since the node's program started.

    `failures` are the polls that failed or gave no reading for a reason. The times are of its last
    512 polls. `memory_mb` is the most that its instance has taken, absent where it is not known.
    """

    polls: Count
    failures: Count
    host_calls: Count
    p50_ms: CycleMilliseconds
    p99_ms: CycleMilliseconds
    memory_mb: Megabytes | None = None


class Costs(msgspec.Struct, frozen=True, gc=False):
    """Cost of each plugin of the node."""

    plugins: Annotated[dict[Name, PluginCost], msgspec.Meta(max_length=MAX_PLUGINS)]


class PluginRecord(msgspec.Struct, frozen=True):
    """A plugin's newest host calls, for a replay.

    `sha256` is the digest of the plugin's file, `fault` what had happened; `polls` are in the
    record, and `missing` ones before its newest are not. `content` is the file that
    `harvester plugins replay` takes.
    """

    reason: RecordReason
    sha256: Sha256
    made_ms: Milliseconds
    polls: Count
    missing: Count
    content: Annotated[bytes, msgspec.Meta(max_length=MAX_RECORD_BYTES)]
    fault: ErrorText = ""


class ShadowReport(msgspec.Struct, frozen=True):
    """A version that polls beside the one that runs, on its recorded answers and without effects.

    `values` has the newest of both by sensor and field, the running version's first, null where it
    has none. In `differing` polls some were not equal. `effects` are calls that were not carried
    out, `unanswered` those that the running version did not make.
    """

    sha256: Sha256
    version: Word
    since_ms: Milliseconds
    polls: Count
    failures: Count
    differing: Count
    error: ErrorText = ""
    values: Annotated[
        dict[ShadowName, tuple[BoundedValue | None, BoundedValue | None]],
        msgspec.Meta(max_length=MAX_FIELDS),
    ] = {}
    p50_ms: CycleMilliseconds = 0
    p99_ms: CycleMilliseconds = 0
    effects: Count = 0
    newest_effects: ShadowLines = []
    unanswered: Count = 0
    newest_unanswered: ShadowLines = []


Message = (
    Status
    | Heartbeat
    | Reading
    | Backlog
    | Stored
    | Log
    | PluginState
    | Leds
    | Buzzer
    | Fan
    | Oled
    | Result
    | SensorDescription
    | About
    | Event
    | Alarm
    | UpdateState
    | SignedBundle
    | DeliveryState
    | Costs
    | PluginRecord
    | ShadowReport
)

MESSAGE_TYPES: dict[TopicKind, type[Message]] = {
    TopicKind.STATUS: Status,
    TopicKind.HEARTBEAT: Heartbeat,
    TopicKind.READING: Reading,
    TopicKind.BACKLOG: Backlog,
    TopicKind.STORED: Stored,
    TopicKind.LOG: Log,
    TopicKind.PLUGIN: PluginState,
    TopicKind.LEDS: Leds,
    TopicKind.BUZZER: Buzzer,
    TopicKind.FAN: Fan,
    TopicKind.OLED: Oled,
    TopicKind.RESULT: Result,
    TopicKind.SENSOR: SensorDescription,
    TopicKind.ABOUT: About,
    TopicKind.EVENT: Event,
    TopicKind.ALARM: Alarm,
    TopicKind.UPDATE: UpdateState,
    TopicKind.BUNDLE: SignedBundle,
    TopicKind.DELIVERY: DeliveryState,
    TopicKind.COSTS: Costs,
    TopicKind.RECORD: PluginRecord,
    TopicKind.SHADOW: ShadowReport,
}
_DECODERS: dict[TopicKind, msgspec.json.Decoder[Any] | ReadingDecoder] = {
    kind: msgspec.json.Decoder(message_type) for kind, message_type in MESSAGE_TYPES.items()
} | {TopicKind.READING: ReadingDecoder()}
# Where the type of the messages has no patterns of strings.
_PATTERNS: dict[TopicKind, Any] = {
    TopicKind.READING: CheckedReading,
    TopicKind.BACKLOG: _BACKLOG,
}
_ENCODER = msgspec.json.Encoder()
_DATA = msgspec.json.Decoder(Data)
# The rest is for the other fields of a reading.
_MAX_DATA_BYTES = MAX_PAYLOAD_BYTES[TopicKind.READING] - 1024


def encode(message: Message) -> bytes:
    return _ENCODER.encode(message.readings if isinstance(message, Backlog) else message)


def decode(topic: Topic, payload: bytes) -> Message:
    """Return the message that `payload` spells on `topic`.

    Raises BadPayloadError, which names the topic, what was found and what is expected.
    """
    decoder = _DECODERS.get(topic.kind)
    if decoder is None:
        raise BadPayloadError(f"{topic}: a {topic.kind} is decoded by the actuator it is meant for")
    check_size(topic, payload)
    try:
        message: Message = (
            _decode_backlog(payload) if topic.kind is TopicKind.BACKLOG else decoder.decode(payload)
        )
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as e:
        raise BadPayloadError(f"{topic}: {_mistake(topic, payload)}") from e
    check = _CHECKS.get(topic.kind)
    if check is not None:
        check(topic, message)
    return message


def _decode_backlog(payload: bytes) -> Backlog:
    _CHECKED_READINGS.decode(payload)
    return Backlog(_READINGS.decode(payload))


def check_data(data: dict[str, Value]) -> None:
    """Raise BadPayloadError where no reading may carry `data`, as `decode` would."""
    payload = _ENCODER.encode(data)
    if len(payload) > _MAX_DATA_BYTES:
        raise BadPayloadError(f"found {len(payload)} bytes, expected at most {_MAX_DATA_BYTES}")
    try:
        _DATA.decode(payload)
    except msgspec.ValidationError as e:
        raise BadPayloadError(first_mistake(data, Data) or str(e)) from e


def check_size(topic: Topic, payload: bytes) -> None:
    """Raise BadPayloadError where a payload is larger than its kind of topic allows."""
    most = MAX_PAYLOAD_BYTES[topic.kind]
    if len(payload) > most:
        raise BadPayloadError(f"{topic}: found {len(payload)} bytes, expected at most {most}")


def _mistake(topic: Topic, payload: bytes) -> str:
    """Return what is wrong with a payload: where, what was found and what is expected."""
    hint = _PATTERNS.get(topic.kind) or MESSAGE_TYPES[topic.kind]
    try:
        found = first_mistake(msgspec.json.decode(payload), hint)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        found = None
    return found or f"found {payload[:80]!r}, expected JSON"


def _check_reading(topic: Topic, reading: Reading) -> None:
    if reading.node != topic.node or reading.sensor_id != topic.name:
        raise BadPayloadError(
            f"{topic}: the payload is of {reading.node}/{reading.sensor_id}, not of this topic"
        )


def _check_backlog(topic: Topic, backlog: Backlog) -> None:
    if any(reading.node != topic.node for reading in backlog.readings):
        raise BadPayloadError(f"{topic}: found a reading of another node")


def _check_ranges(topic: Topic, stored: Stored) -> None:
    for first, last in (*stored.ranges, *stored.refused):
        if last < first:
            raise BadPayloadError(f"{topic}: found the range {first} to {last}")


def _check_frame(topic: Topic, oled: Oled) -> None:
    expected = oled.width // 8 * oled.height
    if len(oled.frame) != expected:
        raise BadPayloadError(
            f"{topic}: found a frame of {len(oled.frame)} bytes, expected {expected}"
            f" for {oled.width} x {oled.height} pixels"
        )


# What the types cannot say.
_CHECKS: dict[TopicKind, Callable[[Topic, Any], None]] = {
    TopicKind.READING: _check_reading,
    TopicKind.BACKLOG: _check_backlog,
    TopicKind.OLED: _check_frame,
    TopicKind.STORED: _check_ranges,
}
