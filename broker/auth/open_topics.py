"""Open topics: those of other people's devices, below the roots in `[broker] open_roots`.

An account has patterns for them, in which `%u` stands for its name and `%c` for the client
identifier, as in Mosquitto's. What it may use is what both a root and a pattern cover.
"""

import re
from collections.abc import Sequence

import msgspec

from broker.auth.gate import Role
from bus.config.homeassistant_table import DEFAULT_PREFIX
from bus.contract import discovery

NAME = "%u"
CLIENT_ID = "%c"
# A device has what is called like its account: a root, or the second level of any root.
DEFAULTS: dict[Role, tuple[str, ...]] = {
    Role.DEVICE: (f"{NAME}/#", f"+/{NAME}/#"),
    Role.INTEGRATION: ("#",),
}
# They are retained, logged and sent to every reader.
_MAX_CHARS = 256
_MAX_PATTERNS = 64
_PATTERN = re.compile(r"(\+|[^+#$/\0][^+#/\0]*)(/(\+|[^+#/\0]*))*(/#)?\Z|#\Z")
_WILD = frozenset("+#/")


class Scope(msgspec.Struct, frozen=True):
    """Settings on which the rights of an account depend, and its own patterns.

    `prefix` is that of Home Assistant's topics. Without `patterns` its role's defaults hold.
    """

    prefix: str = DEFAULT_PREFIX
    open_roots: tuple[str, ...] = ()
    patterns: tuple[str, ...] = ()


def check_pattern(text: str) -> None:
    """Raise ValueError where `text` is no topic filter of an account."""
    if not _PATTERN.match(text) or not is_spelled_well(text):
        raise ValueError(
            f"found the topics {text!r}, expected a topic filter of at most {_MAX_CHARS} "
            f"characters such as 'zigbee2mqtt/#', in which {NAME} stands for the account's name "
            f"and {CLIENT_ID} for the client identifier"
        )


def check_patterns(patterns: Sequence[str]) -> None:
    """Raise ValueError where one is no topic filter, or where there are too many."""
    if len(patterns) > _MAX_PATTERNS:
        raise ValueError(f"found {len(patterns)} topic filters, expected at most {_MAX_PATTERNS}")
    for text in patterns:
        check_pattern(text)


def filters_of(role: Role, name: str, client_id: str, scope: Scope) -> tuple[str, ...]:
    """Return the topic filters of an account, each below one of the roots; none for other roles."""
    if role not in DEFAULTS:
        return ()
    patterns = scope.patterns or DEFAULTS[role]
    if _WILD.intersection(client_id) or not client_id:
        # It would stand for the topics of others.
        patterns = tuple(text for text in patterns if CLIENT_ID not in text)
    filled = [text.replace(NAME, name).replace(CLIENT_ID, client_id) for text in patterns]
    found = [_below(root, text) for text in filled for root in scope.open_roots]
    return tuple(dict.fromkeys(text for text in found if text))


def everything(scope: Scope) -> tuple[str, ...]:
    """Return a filter for each root."""
    return tuple(f"{root}/#" for root in scope.open_roots)


def is_spelled_well(topic: str) -> bool:
    """Whether a message on an open topic is accepted, by its length and letters."""
    return len(topic) <= _MAX_CHARS and topic.isprintable()


def is_of_hub(topic: str, prefix: str) -> bool:
    """Whether a topic below `prefix` is one of the hub's own discovery (`.../harvester_...`)."""
    if not topic.startswith(f"{prefix}/"):
        return False
    return any(level.startswith(discovery.OWN) for level in topic[len(prefix) + 1 :].split("/")[1:])


def _below(root: str, pattern: str) -> str:
    """Return the part of a pattern that is below a root, empty where there is none."""
    first, _, rest = pattern.partition("/")
    if first == "#":
        return f"{root}/#"
    if first not in (root, "+"):
        return ""
    return f"{root}/{rest}" if rest else root
