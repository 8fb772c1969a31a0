"""`harvester bus clean`: empties retained topics, after showing them."""

import argparse
import sys

from bus.client.link import WireMessage
from bus.errors import MisconfiguredError
from harvester.bus import where
from harvester.bus.pretty import printable, text_of
from harvester.bus.session import BusSession, RefusedError
from harvester.bus.subscribe import check_filter

_MOST_CHARS = 60
_MOST_NAMED = 5


def define(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Remove retained topics, of a machine that is no longer there for example. At the hub's own"
        " broker, `harvester node remove` removes nodes and sensors, with their logins."
    )
    parser.add_argument("filter", metavar="FILTER", help="topics, + and # stand for any")
    parser.add_argument("--yes", action="store_true", help="do not ask")
    where.add_options(parser)
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> None:
    check_filter(options.filter)
    if not options.yes and not sys.stdin.isatty():
        raise MisconfiguredError("clean: found no terminal to ask, expected --yes")
    with where.session(options) as session:
        found = _retained(session, options.filter)
        for topic, payload in sorted(found.items()):
            print(f"{printable(topic)} {_short(text_of(payload))}")
        if not found:
            print(f"nothing is retained on {options.filter}")
        elif options.yes or _is_confirmed(len(found)):
            _empty(session, options.filter, sorted(found))


def _retained(session: BusSession, text: str) -> dict[str, bytes]:
    """Return the retained messages by topic. A new subscription gets them all again."""
    session.subscribe([text])
    return {message.topic: message.payload for message in session.retained()}


def _empty(session: BusSession, text: str, topics: list[str]) -> None:
    session.publish([WireMessage(topic, b"", retain=True) for topic in topics])
    # MQTT 3.1.1 acknowledges a message that it drops by its access rules.
    left = sorted(_retained(session, text).keys() & set(topics))
    print(f"removed {len(topics) - len(left)} of {len(topics)}")
    if left:
        more = f" and {len(left) - _MOST_NAMED} more" if len(left) > _MOST_NAMED else ""
        raise RefusedError(
            f"still retained: {', '.join(map(printable, left[:_MOST_NAMED]))}{more}: the broker's"
            " access rules do not let this login publish there, or it was published anew"
        )


def _is_confirmed(count: int) -> bool:
    answer = input(f"Remove {count} retained {'topic' if count == 1 else 'topics'}? [y/N] ")
    return answer.strip().lower() in ("y", "yes")


def _short(text: str) -> str:
    return text if len(text) <= _MOST_CHARS else f"{text[:_MOST_CHARS]}..."
