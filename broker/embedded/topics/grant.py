"""Grant: what a subscription gives its client, the QoS and the options of MQTT 5."""

import functools
from typing import Self

import msgspec

from broker.embedded.packets.model import Filter, Publish, with_ids


class Grant(msgspec.Struct, frozen=True, gc=False):
    """Granted QoS and options. `ids`: the subscription identifiers of all filters that match.

    `own` is the grant for the client's own messages where only some of the filters have no local.
    """

    qos: int
    no_local: bool = False
    retain_as_published: bool = False
    ids: tuple[int, ...] = ()
    own: "Grant | None" = None

    @classmethod
    def of(cls, wanted: Filter, subscription_id: int = 0) -> Self:
        ids = (subscription_id,) if subscription_id else ()
        return cls(wanted.qos, wanted.no_local, wanted.retain_as_published, ids)

    @property
    def is_plain(self) -> bool:
        """Whether it has no option, like every subscription of MQTT 3.1.1."""
        return not (self.no_local or self.retain_as_published or self.ids or self.own)

    @property
    def for_own(self) -> "Grant | None":
        """The grant for messages that the client published itself; None: it receives none."""
        return None if self.no_local else self.own or self


def joined(one: Grant, other: Grant) -> Grant:
    """Return the grant of two filters that match the same topic, whose message is sent once."""
    own = None
    if one.for_own is not one or other.for_own is not other:
        parts = [grant for grant in (one.for_own, other.for_own) if grant is not None]
        own = functools.reduce(joined, parts) if parts else None
    return Grant(
        max(one.qos, other.qos),
        one.no_local and other.no_local,
        one.retain_as_published or other.retain_as_published,
        one.ids + other.ids,
        own,
    )


def granted_copy(message: Publish, grant: Grant) -> Publish:
    """Return a message as a subscriber with options receives it.

    Of a message that was passed on before, the subscription identifiers are replaced.
    """
    return Publish(
        message.topic,
        message.payload,
        min(grant.qos, message.qos),
        retain=message.retain and grant.retain_as_published,
        packet_id=0,
        properties=with_ids(message.properties, grant.ids),
    )
