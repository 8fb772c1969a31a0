"""`harvester bus sub`: prints messages as they come, or what is retained."""

import argparse
import contextlib
import datetime as dt
import itertools
import re
import sys
import time
from collections.abc import Callable, Iterator

import msgspec

from bus.client.link import WireMessage
from bus.contract.topics import EVERYTHING, topic_filter
from bus.errors import MisconfiguredError
from harvester.bus import where
from harvester.bus.pretty import DESCRIBING, Names, is_utf8, line, printable
from harvester.bus.session import BusSession, RefusedError

_UNITS_S = {"ms": 0.001, "s": 1.0, "": 1.0, "min": 60.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
_LONGEST_S = 365 * 86_400.0
_MOST_DIGITS = 18
_DURATION = re.compile(r"(\d+(?:\.\d+)?) ?(ms|s|min|m|h|d|)")

Show = Callable[[WireMessage], str]


class JsonLine(msgspec.Struct, frozen=True):
    """A message as JSON; `payload` is a text where it is no JSON itself."""

    time_ms: int
    topic: str
    retained: bool
    payload: msgspec.Raw | str


def define(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Print messages as they come, with the names and units of the sensors. Ctrl-C ends it."
    )
    parser.add_argument(
        "filters",
        nargs="*",
        default=[EVERYTHING],
        metavar="FILTER",
        help=f"topics, + and # stand for any; default: {EVERYTHING}",
    )
    parser.add_argument("--count", type=_count, metavar="N", help="end after N messages")
    parser.add_argument(
        "--duration", type=_duration_s, metavar="TIME", help="end after a time: 30s, 5min, 1h"
    )
    parser.add_argument(
        "--last", action="store_true", help="print what is retained, the newest state, and end"
    )
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--raw", action="store_true", help="print topic and payload as they are")
    form.add_argument("--json", action="store_true", help="print a JSON object a line")
    where.add_options(parser)
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> None:
    began_s = time.monotonic()
    for text in options.filters:
        check_filter(text)
    with where.session(options) as session:
        until_s = None if options.duration is None else began_s + options.duration
        for shown in itertools.islice(_shown(session, options, until_s), options.count):
            print(shown, flush=True)


def _shown(
    session: BusSession, options: argparse.Namespace, until_s: float | None
) -> Iterator[str]:
    """Yield a line for each message that is asked for."""
    names = Names()
    if not options.raw and not options.json:
        _learn(session, names)
    show = _show(options, names)
    session.subscribe(options.filters)
    for message in session.retained() if options.last else session.messages(until_s):
        names.learn(message)
        # Descriptions come whether or not they are asked for.
        if any(matches(text, message.topic) for text in options.filters):
            yield show(message)


def _learn(session: BusSession, names: Names) -> None:
    """Read the descriptions. A login that may not read some of them sees ids in their place."""
    with contextlib.suppress(RefusedError):
        session.subscribe([topic_filter(kind) for kind in DESCRIBING])
    for message in session.retained():
        names.learn(message)


def _show(options: argparse.Namespace, names: Names) -> Show:
    if options.raw:
        return _raw
    if options.json:
        return _json
    return lambda message: line(message, names, dt.datetime.now().astimezone())


def _raw(message: WireMessage) -> str:
    text = f"{message.topic} {message.payload.decode(errors='replace')}"
    # A terminal would obey what anybody may publish.
    return printable(text) if sys.stdout.isatty() else text


def _json(message: WireMessage) -> str:
    text = msgspec.json.encode(
        JsonLine(time.time_ns() // 1_000_000, message.topic, message.retain, _payload(message))
    ).decode()
    # JSON escapes only some of the control characters.
    return printable(text) if sys.stdout.isatty() else text


def _payload(message: WireMessage) -> msgspec.Raw | str:
    try:
        # On one line, whatever spaces and line feeds it came with.
        return msgspec.Raw(msgspec.json.encode(msgspec.json.decode(message.payload)))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return message.payload.decode(errors="replace")


def matches(text_filter: str, topic: str) -> bool:
    """Whether a topic matches a filter (MQTT 3.1.1 section 4.7)."""
    wanted, levels = text_filter.split("/"), topic.split("/")
    if wanted[0] in ("#", "+") and topic.startswith("$"):
        return False
    for i, level in enumerate(wanted):
        if level == "#":
            return True
        if i >= len(levels) or level not in ("+", levels[i]):
            return False
    return len(wanted) == len(levels)


def check_filter(text: str) -> None:
    """Raise MisconfiguredError where no broker would take a filter."""
    levels = text.split("/")
    is_wild = [level for level in levels if "#" in level or "+" in level]
    is_wrong = not text or "#" in levels[:-1] or not is_utf8(text)
    if is_wrong or any(level not in ("#", "+") for level in is_wild):
        raise MisconfiguredError(
            f"found the filter {printable(text[:80])!r}, expected whole levels, + for any one and a"
            " last # for all below"
        )


def _count(text: str) -> int:
    is_whole = text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS
    found = int(text) if is_whole else 0
    if not found:
        raise argparse.ArgumentTypeError(
            f"found {text[:80]!r}, expected a whole number of 1 to {_MOST_DIGITS} digits, not 0"
        )
    return found


def _duration_s(text: str) -> float:
    found = _DURATION.fullmatch(text)
    if found is None:
        raise argparse.ArgumentTypeError(f"found {text!r}, expected a time: 30s, 5min, 1h")
    duration_s = float(found[1]) * _UNITS_S[found[2]]
    if duration_s > _LONGEST_S:
        raise argparse.ArgumentTypeError(f"found {text[:80]!r}, expected a year, 365d, at most")
    return duration_s
