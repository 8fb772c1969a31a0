"""`harvester bus pub`: publishes one message, and tells whether the broker has passed it on."""

import argparse
import sys
import time

import msgspec

from bus.client.link import WireMessage
from bus.contract.topics import is_command
from bus.errors import BadDataError, MisconfiguredError
from harvester.bus import where
from harvester.bus.pretty import is_utf8, printable
from harvester.bus.session import BusSession, RefusedError

ECHO_S = 5.0
# MQTT 3.1.1 section 1.5.3.
_MAX_TOPIC_BYTES = 65_535


def define(parser: argparse.ArgumentParser) -> None:
    parser.description = "Publish a message, and wait until the broker has passed it on."
    parser.add_argument("topic", metavar="TOPIC", help="for example harvester/pi4/fan/cmd")
    content = parser.add_mutually_exclusive_group(required=True)
    content.add_argument("-m", "--message", metavar="TEXT", help="the payload as it is")
    content.add_argument("--json", metavar="JSON", help="the payload, refused where it is no JSON")
    content.add_argument("--stdin", action="store_true", help="read the payload from the input")
    parser.add_argument(
        "--retain", action="store_true", help="the broker keeps it; an empty one removes the topic"
    )
    where.add_options(parser)
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> None:
    _check_topic(options.topic)
    if options.retain and is_command(options.topic):
        raise MisconfiguredError(
            f"--retain: found the command {options.topic}, expected none: nodes ignore a retained"
            " one, which would be carried out at each connection"
        )
    message = WireMessage(options.topic, _payload(options), retain=options.retain)
    with where.session(options) as session:
        can_hear = _listen(session, message.topic)
        session.publish([message])
        if can_hear and not _is_heard(session, message):
            raise RefusedError(
                f"{message.topic}: the broker acknowledged the message and did not pass it on: its"
                " access rules do not let this login publish there"
            )


def _payload(options: argparse.Namespace) -> bytes:
    if options.stdin:
        return sys.stdin.buffer.read()
    if not is_utf8(options.message or options.json or ""):
        raise MisconfiguredError("found a message that is no UTF-8, expected --stdin for any bytes")
    if options.json is None:
        return str(options.message).encode()
    try:
        msgspec.json.decode(options.json)
    except (msgspec.DecodeError, RecursionError) as e:
        raise BadDataError(f"--json: found no JSON: {e}") from e
    return str(options.json).encode()


def _listen(session: BusSession, topic: str) -> bool:
    """Subscribe to the topic itself; return whether this login may read it."""
    try:
        session.subscribe([topic])
    except RefusedError:
        return False
    return True


def _is_heard(session: BusSession, message: WireMessage) -> bool:
    """Whether the broker sends the message to its subscribers, of which this is one.

    MQTT 3.1.1 acknowledges a message that it drops by its access rules.
    """
    heard = session.messages(time.monotonic() + ECHO_S)
    return any(it.payload == message.payload and not it.retain for it in heard)


def _check_topic(topic: str) -> None:
    length = len(topic.encode(errors="replace"))
    is_wrong = not is_utf8(topic) or not {"+", "#", "\0"}.isdisjoint(topic)
    if is_wrong or not 0 < length <= _MAX_TOPIC_BYTES:
        raise MisconfiguredError(
            f"found the topic {printable(topic[:80])!r}, expected one without + and #"
        )
