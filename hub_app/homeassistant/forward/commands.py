"""Commands from Home Assistant's broker: checked, bounded in rate, and given an id. Pure.

The id is the forwarder's own, so that a command which comes back through another bridge is known
and dropped: no command runs in a circle.
"""

import logging
from collections.abc import Callable

import msgspec

from broker.token_bucket import TokenBuckets
from bus.contract import commands
from bus.contract.topics import Topic, TopicKind, parse
from bus.errors import BadCommandError, BadDataError
from bus.limited_log import LimitedLog

logger = logging.getLogger(__name__)

# A scene of Home Assistant sets many lights at once.
BURST = 100
SECONDS_PER_COMMAND = 0.05
MAX_BYTES = 16 * 1024

_PARSERS: dict[str, Callable[[bytes], object]] = {
    "buzzer": commands.parse_buzzer,
    "fan": commands.parse_fan,
    "leds": commands.parse_leds,
    "names": commands.parse_names,
    "plugins": commands.parse_plugin,
}
# The key of a command that is a bare word.
_WORD_KEYS = {"buzzer": "pattern", "fan": "mode"}
_LEDS_OFF = {"all": "#000000"}


class ForeignCommand(msgspec.Struct, frozen=True):
    """A command that goes to the hub's bus; the payload has an id of the forwarder's."""

    topic: Topic
    payload: bytes


class ForeignCommands:
    """Accepts or refuses commands, and counts both. For one thread.

    `run` is a random word of this start of the program.
    """

    def __init__(self, run: str) -> None:
        self._prefix = f"ha-{run}-"
        self._buckets: TokenBuckets[str] = TokenBuckets(
            burst=BURST, refill_s=SECONDS_PER_COMMAND, keys=1
        )
        self._log = LimitedLog(logger)
        self.accepted = 0
        self.refused = 0
        # Own commands that came back.
        self.echoes = 0

    def accept(self, text: str, payload: bytes, now_s: float) -> ForeignCommand | None:
        """Return the command to publish, or None where it is refused."""
        if self.is_own_id(commands.command_id(payload) if len(payload) <= MAX_BYTES else None):
            self.echoes += 1
            return None
        try:
            topic = _topic(text)
            fields = _checked(topic.name, payload)
        except BadDataError as e:
            self.refused += 1
            self._log.warning("refused", "refused a command of Home Assistant on %s: %s", text, e)
            return None
        if self._buckets.take("", now_s):
            self.refused += 1
            self._log.warning(
                "too many", "refused a command of Home Assistant on %s: too many at once", text
            )
            return None
        self.accepted += 1
        fields["id"] = f"{self._prefix}{self.accepted}"
        return ForeignCommand(topic, msgspec.json.encode(fields))

    def is_own_id(self, command_id: str | None) -> bool:
        """Whether a command or a result has an id of this forwarder's."""
        return command_id is not None and command_id.startswith(self._prefix)

    def sweep(self) -> None:
        self._log.sweep()


def _topic(text: str) -> Topic:
    topic = parse(text)
    if topic.kind is not TopicKind.COMMAND or topic.name not in _PARSERS:
        raise BadCommandError(f"found no actuator, expected one of {', '.join(_PARSERS)}")
    return topic


def _checked(actuator: str, payload: bytes) -> dict[str, object]:
    """Return the keys of a command. Raises BadCommandError where it is none."""
    if len(payload) > MAX_BYTES:
        raise BadCommandError(f"found {len(payload)} bytes, expected at most {MAX_BYTES}")
    _PARSERS[actuator](payload)
    if payload.lstrip().startswith(b"{"):
        fields: dict[str, object] = msgspec.json.decode(payload)
        return fields
    word = payload.decode().strip().strip('"')
    return {_WORD_KEYS[actuator]: word} if actuator in _WORD_KEYS else dict(_LEDS_OFF)
