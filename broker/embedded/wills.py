"""Last wills: published when a connection ends, or after the will delay interval of MQTT 5."""

import math

import msgspec

from broker.due_times import DueTimes
from broker.embedded.packets.model import NO_PROPERTIES, Publish, Will
from broker.embedded.router import Router
from broker.embedded.session import ClientSession, Publisher


class Wills:
    """Publishes wills; those with a delay wait by session, which may be resumed before."""

    def __init__(self, router: Router) -> None:
        self._router = router
        self._waiting: dict[str, tuple[Will, Publisher]] = {}
        self._due_s = DueTimes()

    def end(self, session: ClientSession, will: Will, now_s: float) -> None:
        """Publish the will of a connection that has ended, or delay it as it says.

        `now_s` is the time of the event loop.
        """
        publisher = Publisher("", session.identity.name, will_of=session.key)
        delay_s = will.properties.will_delay_s
        if not delay_s or not session.is_kept:
            self._publish(will, publisher)
            return
        self._waiting[session.key] = (will, publisher)
        self._due_s.set(session.key, math.ceil(now_s) + delay_s)

    def cancel(self, key: str) -> None:
        """Forget the will of a session that is resumed (MQTT-3.1.3-9)."""
        self._waiting.pop(key, None)
        self._due_s.forget(key)

    def publish(self, key: str) -> None:
        """Publish the will of a session that has ended, if one waits."""
        found = self._waiting.pop(key, None)
        if found is not None:
            self._due_s.forget(key)
            self._publish(*found)

    def publish_due(self, now_s: float) -> None:
        for key in self._due_s.take(math.floor(now_s)):
            self.publish(key)

    def publish_all(self) -> None:
        for key in tuple(self._waiting):
            self.publish(key)

    def _publish(self, will: Will, publisher: Publisher) -> None:
        properties = will.properties
        if properties.will_delay_s is not None:
            properties = msgspec.structs.replace(properties, will_delay_s=None)
        if properties == NO_PROPERTIES:
            properties = NO_PROPERTIES
        message = Publish(will.topic, will.payload, will.qos, will.retain, 0, properties)
        # Nobody is left to be held back.
        self._router.publish(message, publisher)
