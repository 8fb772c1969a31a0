"""Mirror of the discovery messages that a broker retains, against those that it should have. Pure.

What differs is due. What this hub published in an earlier run and wants no more is a stray.
"""

import itertools
import re
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping

import msgspec

from bus.contract import discovery
from bus.contract.discovery import DiscoveryTopic
from hub_app.homeassistant.site import MAKER, Site

_DEVICE = "device"
_ENCODER = msgspec.json.Encoder()

Publication = tuple[str, bytes]


class Mirror:
    """Messages of `site`. With `is_sole`, no other hub publishes discovery on this broker."""

    def __init__(self, site: Site, *, is_sole: bool = False) -> None:
        # Stands in every configuration of ours.
        self._mark = f'"{MAKER} (' if is_sole else f'"{site.origin["name"]}"'
        self._prefix = site.prefix
        self._is_device_form = site.form == _DEVICE
        self._state_topic = re.compile(
            rf'"({re.escape(site.prefix)}/[^"/]+/[^"/]+/state)"'.encode()
        )
        self._groups: dict[object, set[str]] = {}
        self._wanted: dict[str, bytes] = {}
        self._has: dict[str, bytes] = {}
        # In the order in which they are published.
        self._due: OrderedDict[str, None] = OrderedDict()
        self._repeats: OrderedDict[str, None] = OrderedDict()
        self._strays: dict[str, None] = {}
        self._stray_states: set[str] = set()
        # Removals that the broker has not passed on yet: what comes before them is gone already.
        self._emptied: set[str] = set()

    @property
    def waiting(self) -> int:
        """The number of messages to publish; strays do not count."""
        return len(self._due) + len(self._repeats)

    def want(self, group: object, messages: Mapping[DiscoveryTopic, bytes]) -> None:
        """Replace the wanted messages of one group, which nothing else has."""
        wanted = {str(topic): payload for topic, payload in messages.items()}
        for topic in self._groups.pop(group, set()) - wanted.keys():
            del self._wanted[topic]
            if topic in self._has:
                self._due[topic] = None
            else:
                self._due.pop(topic, None)
        if wanted:
            self._groups[group] = set(wanted)
        for topic, payload in wanted.items():
            self._wanted[topic] = payload
            self._emptied.discard(topic)
            self._strays.pop(topic, None)
            self._compare(topic)

    def hear(self, text: str, payload: bytes) -> None:
        """Take what the broker has on a topic now."""
        topic = discovery.parse(text, self._prefix)
        if topic is None:
            return
        if not payload:
            self._has.pop(text, None)
            self._strays.pop(text, None)
            self._emptied.discard(text)
        elif text in self._emptied:
            return
        elif text in self._wanted or self._is_ours(topic, payload):
            self._has[text] = payload
        if text in self._wanted:
            self._compare(text)
        elif text in self._has:
            self._strays[text] = None

    def repeat(self) -> None:
        """Publish everything again, behind what has changed."""
        # Those that still wait go first: births in short order keep nothing from its turn.
        self._repeats |= dict.fromkeys(self._wanted)

    def forget(self) -> None:
        """Forget what the broker had: it may have lost everything."""
        self._has.clear()
        self._strays.clear()
        self._emptied.clear()
        self._due = OrderedDict((topic, None) for topic in self._due if topic in self._wanted)
        self._due |= dict.fromkeys(self._wanted)
        self._repeats.clear()

    def take(self, most: int, *, with_strays: bool) -> Iterator[Publication]:
        """Yield the next messages to publish; what is yielded counts as published.

        Strays of the other form go first: Home Assistant refuses an entity that it has already.
        Other strays are left alone until `with_strays`.
        """
        others = [topic for topic in self._strays if self._is_of_other_form(topic)]
        if others:
            yield from self._removals(others[:most])
            return
        for topic in itertools.islice(self._next(), most):
            yield from self._publication(topic)
        if with_strays and not self._due:
            yield from self._removals(list(itertools.islice(self._strays, most)))
            if not self._strays:
                states, self._stray_states = self._stray_states, set()
                yield from ((topic, b"") for topic in states if topic not in self._wanted)

    def _next(self) -> Iterator[str]:
        for queue in (self._due, self._repeats):
            while queue:
                topic, _ = queue.popitem(last=False)
                yield topic

    def _publication(self, topic: str) -> Iterator[Publication]:
        payload = self._wanted.get(topic)
        if payload is None:
            self._has.pop(topic, None)
            self._emptied.add(topic)
            yield topic, b""
            return
        if removed := _removed_components(topic, self._has.get(topic), payload):
            yield topic, removed
        self._has[topic] = payload
        yield topic, payload

    def _removals(self, strays: Iterable[str]) -> Iterator[Publication]:
        """Yield the removal of strays; the states that they name are removed last."""
        for topic in strays:
            del self._strays[topic]
            named = self._state_topic.findall(self._has.pop(topic, b""))
            self._stray_states |= {name.decode() for name in named}
            self._emptied.add(topic)
            yield topic, b""

    def _compare(self, topic: str) -> None:
        if self._has.get(topic) == self._wanted[topic]:
            # One copy of each payload is enough.
            self._has[topic] = self._wanted[topic]
            self._due.pop(topic, None)
        else:
            self._due[topic] = None

    def _is_ours(self, topic: DiscoveryTopic, payload: bytes) -> bool:
        return topic.leaf == "config" and self._mark.encode() in payload

    def _is_of_other_form(self, text: str) -> bool:
        topic = discovery.parse(text, self._prefix)
        return topic is not None and (topic.component == _DEVICE) != self._is_device_form


def _removed_components(topic: str, before: bytes | None, after: bytes) -> bytes:
    """Return `after` with what it removes of `before`; empty where it removes nothing.

    Home Assistant keeps a component of a device that is merely left out: it has to be named, with
    its platform alone.
    """
    if before is None or f"/{_DEVICE}/" not in topic:
        return b""
    former, message = _components(before), msgspec.json.decode(after)
    gone = {
        name: {"platform": said["platform"]}
        for name, said in former.items()
        if name not in message["components"]
    }
    if not gone:
        return b""
    return _ENCODER.encode(message | {"components": message["components"] | gone})


def _components(payload: bytes) -> dict[str, dict[str, str]]:
    """Return the components of a device, each with its platform alone."""
    try:
        found = msgspec.json.decode(payload, type=_Device).components
    except (msgspec.DecodeError, RecursionError):
        return {}
    return {name: {"platform": said.platform} for name, said in found.items() if said.platform}


class _Component(msgspec.Struct, frozen=True):
    platform: str = ""


class _Device(msgspec.Struct, frozen=True):
    components: dict[str, _Component] = {}
