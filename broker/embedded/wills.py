"""Last wills: published when a connection ends, or after the will delay interval of MQTT 5.

They are in the store from the CONNECT on. After a kill of the broker, all its connections have
ended: each will waits until its client has had time to come back.
"""

import math
from collections.abc import Mapping

import msgspec

from broker.auth.gate import Gate, Identity
from broker.due_times import DueTimes
from broker.embedded.packets.model import NO_PROPERTIES, Publish, Will
from broker.embedded.router import Router
from broker.embedded.session import ClientSession, Publisher, identity_of_key
from broker.embedded.store.records import StoredWill
from broker.embedded.store.store import Store
from bus.clock import now_ms


class _Waiting(msgspec.Struct, frozen=True):
    """A will that waits. `identity` is set where its account may have changed meanwhile."""

    will: Will
    publisher: Publisher
    identity: Identity | None = None


class Wills:
    """Publishes wills; those with a delay wait by session, which may be resumed before.

    `grace_s` is the time for clients to come back after a kill of the broker.
    """

    def __init__(self, router: Router, gate: Gate, store: Store, grace_s: float) -> None:
        self._router = router
        self._gate = gate
        self._store = store
        self._grace_s = grace_s
        self._waiting: dict[str, _Waiting] = {}
        self._due_s = DueTimes()

    def load(self, stored: Mapping[str, StoredWill], now_s: float) -> None:
        """Let the wills of the store wait, those of clients that were connected as well.

        `now_s` is the time of the event loop.
        """
        for key, kept in stored.items():
            identity = identity_of_key(key, kept.client_id)
            if identity is None:
                self._store.drop_will(key)
                continue
            publisher = Publisher("", identity.name, will_of=key)
            self._wait(key, _Waiting(kept.will, publisher, identity), now_s + self._left_s(kept))

    def cancel(self, key: str) -> None:
        """Forget the will of a session whose client is back (MQTT-3.1.2-8)."""
        self._forget(key)
        self._store.drop_will(key)

    def connected(self, session: ClientSession, will: Will | None) -> None:
        """Keep the will of a connected client, in place of one that waits (MQTT-3.1.3-9)."""
        self._forget(session.key)
        if will is None:
            self._store.drop_will(session.key)
        else:
            self._store.put_will(session.key, StoredWill(session.client_id, will))

    def end(self, session: ClientSession, will: Will | None, now_s: float) -> None:
        """Publish the will of a connection that has ended, or delay it as it says; None: no will.

        `now_s` is the time of the event loop.
        """
        if will is None:
            self._store.drop_will(session.key)
            return
        waiting = _Waiting(will, Publisher("", session.identity.name, will_of=session.key))
        delay_s = will.properties.will_delay_s
        if not delay_s or not session.is_kept:
            self._publish(session.key, waiting)
            return
        self._wait(session.key, waiting, now_s + delay_s)
        due_ms = now_ms() + delay_s * 1000
        self._store.put_will(session.key, StoredWill(session.client_id, will, due_ms))

    def publish(self, key: str) -> None:
        """Publish the will of a session that has ended, if one waits."""
        waiting = self._forget(key)
        if waiting is not None:
            self._publish(key, waiting)

    def publish_due(self, now_s: float) -> None:
        for key in self._due_s.take(math.floor(now_s)):
            self.publish(key)

    def publish_all(self) -> None:
        for key in tuple(self._waiting):
            self.publish(key)

    def _left_s(self, kept: StoredWill) -> float:
        """Return the time for which a will of the store still waits."""
        delay_s = kept.will.properties.will_delay_s or 0
        if kept.due_ms is None:
            return max(self._grace_s, delay_s)
        # The clock may have been wrong.
        left_s = min((kept.due_ms - now_ms()) / 1000, delay_s)
        return max(self._grace_s, left_s)

    def _wait(self, key: str, waiting: _Waiting, due_s: float) -> None:
        self._waiting[key] = waiting
        self._due_s.set(key, math.ceil(due_s))

    def _forget(self, key: str) -> _Waiting | None:
        self._due_s.forget(key)
        return self._waiting.pop(key, None)

    def _publish(self, key: str, waiting: _Waiting) -> None:
        """Publish a will and remove it from the store, in one commit."""
        with self._store.together():
            self._store.drop_will(key)
            identity, topic = waiting.identity, waiting.will.topic
            if identity is None or self._gate.may_publish(identity, topic):
                # Nobody is left to be held back.
                self._router.publish(_message(waiting.will), waiting.publisher)
            else:
                self._router.refuse_publish(key, topic)


def _message(will: Will) -> Publish:
    properties = will.properties
    if properties.will_delay_s is not None:
        properties = msgspec.structs.replace(properties, will_delay_s=None)
    if properties == NO_PROPERTIES:
        properties = NO_PROPERTIES
    return Publish(will.topic, will.payload, will.qos, will.retain, 0, properties)
