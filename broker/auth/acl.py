"""Access control list: one table of roles, and the questions that a broker asks of it.

What no line allows is refused. It knows no broker, no password and no clock.
"""

import re
from collections.abc import Sequence
from functools import lru_cache

import msgspec

from broker.auth import open_topics
from broker.auth.gate import Identity, Role
from broker.auth.open_topics import Scope
from bus.config.homeassistant_table import DEFAULT_PREFIX
from bus.contract.topics import NAME_PATTERN, ROOT

# Placeholders in a pattern: the user's name, and the prefix of Home Assistant's topics.
OWN = "<node>"
PREFIX = "<prefix>"
_DEFAULT_SCOPE = Scope()
# Users whose split patterns are cached.
_MAX_CACHED_NAMES = 4096
# Decisions that are cached: the rules never change, and each message asks for several.
_MAX_CACHED_DECISIONS = 16_384
# No topic that may be used is longer, nor a filter that matches one. What a client sends may have
# 65,535 bytes.
_MAX_CHARS = 1_024

_NAME = NAME_PATTERN.removeprefix("^").removesuffix(r"\Z")
_PUBLISHABLE = re.compile(rf"{ROOT}(/{_NAME})+\Z")
# Levels of Home Assistant's topics: it allows more letters in them.
_OF_HOME_ASSISTANT = re.compile(r"[A-Za-z0-9_-]{1,128}(/[A-Za-z0-9_-]{1,128})*\Z")

Levels = Sequence[str]


class Rights(msgspec.Struct, frozen=True, kw_only=True):
    """Topic patterns, as MQTT writes filters. `never` makes exceptions to `publish`."""

    publish: tuple[str, ...] = ()
    never: tuple[str, ...] = ()
    read: tuple[str, ...] = ()


_EVERYTHING = ("harvester/#", "$SYS/#", "<prefix>/#")
# Home Assistant publishes its birth and its last will there.
_STATUS = "<prefix>/status"

ROLES = {
    Role.NODE: Rights(
        publish=("harvester/<node>/+", "harvester/<node>/+/+"),
        never=(
            "harvester/<node>/cmd",
            "harvester/<node>/+/cmd",
            "harvester/<node>/stored",
            # The hub's words about the node.
            "harvester/<node>/alarms/+",
            # The hub's orders to the node.
            "harvester/<node>/bundles/+",
        ),
        read=(
            "harvester/<node>/+/cmd",
            "harvester/<node>/stored",
            "harvester/<node>/bundles/+",
            # For displays.
            "harvester/+/readings/+",
            "harvester/+/sensors/+",
            "harvester/+/status",
        ),
    ),
    Role.HUB: Rights(
        publish=(
            *("harvester/+/+", "harvester/+/+/+"),
            # Discovery, and states that only the hub knows.
            *("<prefix>/+/+/config", "<prefix>/+/+/state"),
        ),
        read=_EVERYTHING,
    ),
    Role.OPERATOR: Rights(publish=("harvester/+/+/cmd",), read=_EVERYTHING),
    Role.VIEWER: Rights(read=_EVERYTHING),
    Role.INTEGRATION: Rights(publish=("harvester/+/+/cmd", _STATUS), read=_EVERYTHING),
    # It has open topics alone.
    Role.DEVICE: Rights(),
}
# These also read what other people's devices publish.
_READERS_OF_OPEN_TOPICS = frozenset({Role.OPERATOR, Role.VIEWER})


class _Levels(msgspec.Struct, frozen=True):
    """Rights of one identity as split patterns. `open`: the open topics, to use as it likes."""

    publish: tuple[Levels, ...]
    never: tuple[Levels, ...]
    read: tuple[Levels, ...]
    open: tuple[Levels, ...]


def may_publish(identity: Identity, topic: str, scope: Scope = _DEFAULT_SCOPE) -> bool:
    """Whether `identity` may publish to `topic`, a last will included.

    Whatever the role, each level below the root must be a name as `bus.contract.topics` defines
    it, or below the prefix as Home Assistant does. Open topics have a limit of their own.
    """
    return len(topic) <= _MAX_CHARS and _may_publish(identity, topic, scope)


@lru_cache(_MAX_CACHED_DECISIONS)
def _may_publish(identity: Identity, topic: str, scope: Scope) -> bool:
    levels = _levels(identity, scope)
    asked = topic.split("/")
    if _any_covers(levels.open, asked):
        return open_topics.is_spelled_well(topic) and not _is_reserved(identity, topic, scope)
    is_spelled_well = (
        _OF_HOME_ASSISTANT if topic.startswith(f"{scope.prefix}/") else _PUBLISHABLE
    ).match(topic)
    return (
        is_spelled_well is not None
        and _any_covers(levels.publish, asked)
        and not _any_covers(levels.never, asked)
    )


def may_subscribe(identity: Identity, topic_filter: str, scope: Scope = _DEFAULT_SCOPE) -> bool:
    """Whether any topic that `topic_filter` can match may be read.

    The filter may match more than that: `may_receive` is asked about each message.
    """
    if len(topic_filter) > _MAX_CHARS:
        return False
    if not _is_filter(topic_filter) or _is_hidden(identity, topic_filter, scope):
        return False
    wanted = topic_filter.split("/")
    levels = _levels(identity, scope)
    return any(_overlap(pattern, wanted) for pattern in (*levels.read, *levels.open))


@lru_cache(_MAX_CACHED_DECISIONS)
def may_receive(identity: Identity, topic: str, scope: Scope = _DEFAULT_SCOPE) -> bool:
    """Whether `identity` may read what was published to `topic`."""
    levels = _levels(identity, scope)
    asked = topic.split("/")
    return _any_covers(levels.read, asked) or (
        _any_covers(levels.open, asked) and not _is_hidden(identity, topic, scope)
    )


def rights_of(identity: Identity, scope: Scope) -> tuple[Rights, tuple[str, ...]]:
    """Return the role's rights with the placeholders filled in, and the open topics' filters."""
    rights = ROLES[identity.role]
    filled = Rights(
        **{
            field: tuple(for_user(text, identity.name, scope.prefix) for text in texts)
            for field, texts in msgspec.structs.asdict(rights).items()
        }
    )
    if identity.role in _READERS_OF_OPEN_TOPICS:
        more = open_topics.everything(scope)
        filled = msgspec.structs.replace(filled, read=(*filled.read, *more))
    own = open_topics.filters_of(identity.role, identity.name, identity.client_id, scope)
    return filled, own


@lru_cache(_MAX_CACHED_NAMES)
def _levels(identity: Identity, scope: Scope) -> _Levels:
    rights, own = rights_of(identity, scope)
    return _Levels(*map(_split, (rights.publish, rights.never, rights.read, own)))


def _is_hidden(identity: Identity, topic: str, scope: Scope) -> bool:
    """Whether a topic or filter is of the hub's discovery, which no device reads."""
    return identity.role is Role.DEVICE and open_topics.is_of_hub(topic, scope.prefix)


def _is_reserved(identity: Identity, topic: str, scope: Scope) -> bool:
    """Whether a topic below an open root is the hub's, or Home Assistant's own."""
    is_status = topic == f"{scope.prefix}/status"
    return open_topics.is_of_hub(topic, scope.prefix) or (
        is_status and identity.role is Role.DEVICE
    )


def covers(pattern: str, wanted: str) -> bool:
    """Whether `pattern` matches every topic that the filter or topic `wanted` matches.

    `pattern` begins with no wildcard, so the rule of MQTT 3.1.1 section 4.7.2 on topics that begin
    with `$` needs no case of its own.
    """
    return _covers(pattern.split("/"), wanted.split("/"))


def for_user(pattern: str, name: str, prefix: str = DEFAULT_PREFIX) -> str:
    """Return `pattern` with the user's name and the prefix in place of the placeholders."""
    return pattern.replace(OWN, name).replace(PREFIX, prefix)


def _any_covers(patterns: Sequence[Levels], asked: Levels) -> bool:
    return any(_covers(allowed, asked) for allowed in patterns)


def _split(patterns: Sequence[str]) -> tuple[Levels, ...]:
    return tuple(text.split("/") for text in patterns)


def _covers(allowed: Levels, asked: Levels) -> bool:
    for level, ask in zip(allowed, asked, strict=False):
        if level == "#":
            return True
        if ask == "#" or level not in ("+", ask):
            return False
    # 4.7.1-2: `a/#` matches `a`, too.
    return len(asked) == len(allowed) or (
        len(asked) < len(allowed) and allowed[len(asked) :] == ["#"]
    )


def _overlap(pattern: Levels, wanted: Levels) -> bool:
    """Whether there is a topic that both filters match."""
    # 4.7.2-1: a leading wildcard matches no topic that begins with `$`.
    if pattern[0].startswith("$") and wanted[0] in ("#", "+"):
        return False
    for level, ask in zip(pattern, wanted, strict=False):
        if "#" in (level, ask):
            return True
        if level != ask and "+" not in (level, ask):
            return False
    # 4.7.1-2: `a/#` matches `a`, too.
    rest = [*pattern[len(wanted) :], *wanted[len(pattern) :]]
    return rest in ([], ["#"])


def _is_filter(text: str) -> bool:
    """Whether each wildcard is a whole level, and `#` the last one (MQTT-4.7.1-1, 4.7.1-2)."""
    levels = text.split("/")
    wild = ("#" in level or "+" in level for level in levels)
    whole = all(level in ("#", "+") for level, is_wild in zip(levels, wild, strict=True) if is_wild)
    return whole and "#" not in levels[:-1] and "\0" not in text
