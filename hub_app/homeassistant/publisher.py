"""Publisher of discovery on one broker: only what changed, at a bounded rate.

All of it runs on the event loop. `step` does little each time, so that no reading waits for it,
however many nodes there are. It is called every tenth of a second while there is more.
"""

import logging
import math
import random
import time
from collections.abc import Callable, Iterable, Sequence

import msgspec

from bus.client.link import RawMessage, WireMessage
from bus.contract import discovery, topics
from bus.contract.description import About
from bus.contract.topics import TopicKind
from bus.errors import BadTopicError
from bus.ticks import next_tick
from hub_app.alarms.rules import RuleBook
from hub_app.homeassistant import pictures
from hub_app.homeassistant.catalog import Catalog
from hub_app.homeassistant.entities.entity import picture_topic, problems_topic
from hub_app.homeassistant.mirror import Mirror
from hub_app.homeassistant.pictures import Pictures
from hub_app.homeassistant.problems import Problems
from hub_app.homeassistant.site import Site
from hub_app.live.change import Change
from hub_app.live.state import State

logger = logging.getLogger(__name__)

STEP_S = 0.1
# Between two steps while there is nothing to publish.
_IDLE_S = 0.5
# In one step: 200 messages a second, which Home Assistant on a Raspberry Pi keeps up with.
_MESSAGES = 20
# A group takes about a millisecond.
_GROUPS = 5
# With so much to publish, only news are made meanwhile.
_ENOUGH = 200
_SWEEP_S = 1.0
# After a connection, until what the broker retains has come.
_SETTLE_S = 2.0
# After a start, until the nodes that the broker retains are in the live state.
_GRACE_S = 15.0
# Home Assistant asks for a random delay after its birth.
_LONGEST_DELAY_S = 10.0

# Publishes on a topic; returns None where there is no connection.
PublishWire = Callable[[WireMessage], int | None]


class Publisher:
    """Discovery of the nodes in `state` over `publish`.

    With `is_on` false, what an earlier run published is removed. `is_sole`: no other hub publishes
    discovery on this broker. `page_url` returns the address of the page for the hub's own node.
    """

    def __init__(  # noqa: PLR0913 - all that a publisher works with
        self,
        site: Site,
        state: State,
        book: RuleBook,
        *,
        publish: PublishWire,
        page_url: Callable[[About | None], str] = lambda _about: "",
        is_on: bool = True,
        is_sole: bool = False,
        monotonic_s: Callable[[], float] = time.monotonic,
        uniform: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self._site = site
        self._state = state
        self._publish = publish
        self._is_on = is_on
        self._monotonic_s = monotonic_s
        self._uniform = uniform
        self._catalog = Catalog(site, state, book, page_url)
        self._problems = Problems(state)
        self._pictures = Pictures()
        self._mirror = Mirror(site, is_sole=is_sole)
        now_s = monotonic_s()
        self._settled_s = now_s + _SETTLE_S
        self._strays_s = now_s + (_GRACE_S if is_on else _SETTLE_S)
        self._sweep_s = now_s
        self._birth_s: float | None = None

    @property
    def waiting(self) -> int:
        """The number of messages that are still to be published."""
        return self._mirror.waiting

    def on_changes(self, changes: Sequence[Change], now_ms: int) -> None:
        """Take changes of the live state."""
        if not self._is_on:
            return
        self._catalog.on_changes(changes)
        self._problems.on_changes(changes, now_ms)
        for change in changes:
            if change.kind is TopicKind.OLED:
                self._pictures.change(change.node)

    def on_messages(self, messages: Iterable[RawMessage]) -> None:
        """Take messages from below the prefix: what the broker retains, and the birth."""
        birth = discovery.birth_topic(self._site.prefix)
        for topic, payload in messages:
            if topic == birth:
                if payload == discovery.BIRTH:
                    self._on_birth()
                continue
            self._mirror.hear(topic, payload)
            is_own = discovery.parse(topic, self._site.prefix) is not None
            if payload and is_own and self._is_on:
                self._learn_events(payload)

    def on_connect(self) -> None:
        """Take note of a new connection: the broker may have lost what it retained."""
        self._mirror.forget()
        self._settled_s = self._monotonic_s() + _SETTLE_S

    async def run(self, now_ms: Callable[[], int]) -> None:
        """Publish until cancelled."""
        has_more = True
        while True:
            await next_tick(STEP_S if has_more else _IDLE_S)
            has_more = self.step(now_ms())

    def step(self, now_ms: int) -> bool:
        """Make and publish some of the messages that are due; return whether there may be more."""
        now_s = self._monotonic_s()
        if now_s >= self._sweep_s and self._is_on:
            self._sweep_s = now_s + _SWEEP_S
            self._catalog.sweep()
            self._problems.sweep(now_ms)
        self._make(now_s)
        if self._birth_s is not None and now_s >= self._birth_s:
            self._birth_s = None
            self._mirror.repeat()
        has_more = self._catalog.has_changed
        if now_s < self._settled_s:
            return has_more
        with_strays = now_s >= self._strays_s and not has_more
        for topic, payload in self._mirror.take(_MESSAGES, with_strays=with_strays):
            has_more = True
            if self._publish(WireMessage(topic, payload, qos=1, retain=True)) is None:
                # Everything is published again once there is a connection.
                self._settled_s = math.inf
                return False
        return has_more

    def _make(self, now_s: float) -> None:
        for _ in range(_GROUPS):
            found = self._catalog.take(with_stale=self._mirror.waiting < _ENOUGH)
            if found is None:
                break
            self._mirror.want(*found)
        for node in self._problems.take():
            topic = problems_topic(self._site, node)
            told = {topic: self._problems.payload(node)} if self._publishes(node) else {}
            self._mirror.want(("problems", node), told)
        for node in self._pictures.take(now_s):
            oled = self._state.picture(node) if self._publishes(node) else None
            topic = picture_topic(self._site, node)
            shown = {topic: pictures.payload(oled)} if oled is not None else {}
            self._mirror.want(("picture", node), shown)

    def _publishes(self, node: str) -> bool:
        return node in self._state.nodes and self._site.publishes(node)

    def _on_birth(self) -> None:
        if self._birth_s is not None:
            return
        logger.info("Home Assistant has started: everything is published again")
        self._birth_s = self._monotonic_s() + self._uniform(0.0, _LONGEST_DELAY_S)

    def _learn_events(self, payload: bytes) -> None:
        """Learn the event types of an earlier run, so that their entities stay."""
        if b'"event_types"' not in payload:
            return
        try:
            found = msgspec.json.decode(payload, type=_Config)
        except (msgspec.DecodeError, RecursionError):
            return
        for one in (found, *found.components.values()):
            if one.event_types:
                self._learn(one.state_topic, one.event_types)

    def _learn(self, state_topic: str, event_types: list[str]) -> None:
        try:
            topic = topics.parse(state_topic)
        except BadTopicError:
            return
        if topic.kind is TopicKind.EVENT:
            self._catalog.learn_events(topic.node, topic.name, event_types)


class _Event(msgspec.Struct, frozen=True):
    state_topic: str = ""
    event_types: list[str] = []


class _Config(_Event, frozen=True):
    components: dict[str, _Event] = {}
