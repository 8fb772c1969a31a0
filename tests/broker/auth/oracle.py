"""Oracle of the access rules: a second implementation, which looks at single topics.

A filter is tested by topics that it matches: each wildcard stands in turn for a word that no rule
names and for every word that a rule names there.
"""

import itertools
import string
from collections.abc import Iterator

from broker.auth.gate import Identity, Role

NAMES = set(string.ascii_lowercase + string.digits + "-")
WIDER = set(string.ascii_letters + string.digits + "-_")
UNHEARD_OF = "zzz"
OPEN_ROOTS = ("tele", "homeassistant")


def spelled_well(topic: str) -> bool:
    root, *rest = topic.split("/")
    return (
        root == "harvester"
        and len(rest) in (2, 3)
        and all(
            0 < len(word) <= 64
            and set(word) <= NAMES
            and not word.startswith("-")
            and not word.endswith("-")
            for word in rest
        )
    )


def is_of_home_assistant(topic: str) -> bool:
    root, *rest = topic.split("/")
    return root == "homeassistant" and all(
        0 < len(word) <= 128 and set(word) <= WIDER for word in rest
    )


def is_open(who: Identity, topic: str) -> bool:
    """Whether a topic is an open one that the user may use."""
    words = topic.split("/")
    is_own = who.role is Role.INTEGRATION or (len(words) > 1 and words[1] == who.name)
    return who.role in (Role.INTEGRATION, Role.DEVICE) and words[0] in OPEN_ROOTS and is_own


def is_of_discovery_of_hub(topic: str) -> bool:
    root, *rest = topic.split("/")
    return root == "homeassistant" and any(word.startswith("harvester_") for word in rest[1:])


def publishes(who: Identity, topic: str) -> bool:
    return _publishes_open(who, topic) if is_open(who, topic) else _publishes(who, topic)


def _publishes_open(who: Identity, topic: str) -> bool:
    is_status = topic == "homeassistant/status" and who.role is Role.DEVICE
    is_kept_back = is_status or is_of_discovery_of_hub(topic)
    return not is_kept_back and len(topic) <= 256 and topic.isprintable()


def _publishes(who: Identity, topic: str) -> bool:
    if topic.startswith("homeassistant/"):
        rest = topic.split("/")[1:]
        is_status = rest == ["status"]
        is_discovery = len(rest) == 3 and rest[2] in ("config", "state")
        may = is_status if who.role is Role.INTEGRATION else is_discovery and who.role is Role.HUB
        return may and is_of_home_assistant(topic)
    if not spelled_well(topic):
        return False
    _, node, *rest = topic.split("/")
    if who.role is Role.HUB:
        return True
    if who.role in (Role.OPERATOR, Role.INTEGRATION):
        return len(rest) == 2 and rest[1] == "cmd"
    if who.role is Role.NODE:
        is_of_hub = rest == ["stored"] or (len(rest) == 2 and rest[0] in ("alarms", "bundles"))
        return node == who.name and rest[-1] != "cmd" and not is_of_hub
    return False


def reads(who: Identity, topic: str) -> bool:
    words = topic.split("/")
    if who.role is Role.DEVICE:
        return is_open(who, topic) and not is_of_discovery_of_hub(topic)
    if who.role is not Role.NODE:
        is_others = words[0] in OPEN_ROOTS and who.role is not Role.HUB
        return is_others or words[0] in ("harvester", "$SYS", "homeassistant")
    if words[0] != "harvester" or len(words) < 3:
        return False
    own, rest = words[1] == who.name, words[2:]
    if len(rest) == 2:
        is_own = rest[1] == "cmd" or rest[0] == "bundles"
        return rest[0] in ("readings", "sensors") or (own and is_own)
    return rest == ["status"] or (own and rest == ["stored"])


def subscribes(who: Identity, text: str) -> bool:
    """Whether the user may read anything that the filter matches."""
    return is_filter(text) and any(reads(who, topic) for topic in matched(text, who.name))


def is_filter(text: str) -> bool:
    words = text.split("/")
    for place, word in enumerate(words):
        if "#" in word and (word != "#" or place != len(words) - 1):
            return False
        if "+" in word and word != "+":
            return False
    return True


def matched(text: str, name: str) -> Iterator[str]:
    """Yield topics that the filter matches, of every kind that a rule tells from another."""
    words = text.split("/")
    head = words[:-1] if words[-1] == "#" else words
    lengths = range(len(head), len(head) + 5) if words[-1] == "#" else [len(head)]
    for length in lengths:
        asked = [*head, *["+"] * (length - len(head))]
        choices = [
            _stand_ins(name, place) if word == "+" else (word,) for place, word in enumerate(asked)
        ]
        if choices:
            yield from map("/".join, itertools.product(*choices))


def _stand_ins(name: str, place: int) -> tuple[str, ...]:
    named = (
        ("harvester", "homeassistant", "tele"),
        (name,),
        ("readings", "status", "stored"),
        ("cmd",),
    )
    return (UNHEARD_OF, *(named[place] if place < len(named) else ()))
