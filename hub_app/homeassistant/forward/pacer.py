"""Pacer: sends what is due, with few messages in flight, and leaves time to the event loop."""

import time
from collections.abc import Callable

from broker.token_bucket import TokenBuckets
from bus.client.client import BusClient
from hub_app.homeassistant.forward.outgoing import Outgoing

# Messages that the other broker has not acknowledged.
_WINDOW = 20
# After so many messages, the event loop's thread has its turn.
_BURST, _PAUSE_S = 50, 0.01
# Messages of discovery: 200 a second, which Home Assistant on a Raspberry Pi keeps up with.
_DISCOVERY_BURST, _DISCOVERY_S = 20, 0.005
_DISCOVERY_PAUSE_S = 0.05


class Pacer:
    """Sends the messages of `outgoing`, on one thread; `wait` waits for so many seconds."""

    def __init__(self, outgoing: Outgoing, wait: Callable[[float], object]) -> None:
        self._outgoing = outgoing
        self._wait = wait
        self._discovery: TokenBuckets[str] = TokenBuckets(
            burst=_DISCOVERY_BURST, refill_s=_DISCOVERY_S, keys=1
        )

    def send(self, client: BusClient, *, is_wanted: Callable[[], bool]) -> int:
        """Send what is due, as far as the broker takes it; return the number of messages."""
        sent = 0
        while client.connected and client.in_flight < _WINDOW and is_wanted():
            message = self._outgoing.take(self._may_discover)
            if message is None:
                break
            if client.publish_wire(message) is None:
                self._outgoing.give_back(message)
                break
            sent += 1
            if sent % _BURST == 0:
                self._wait(_PAUSE_S)
        return sent

    def pause_s(self, client: BusClient, longest_s: float) -> float:
        """Return for how long to wait where nothing new comes."""
        is_paced = client.connected and self._outgoing.waits_for_discovery
        return _DISCOVERY_PAUSE_S if is_paced else longest_s

    def _may_discover(self) -> bool:
        return self._discovery.take("", time.monotonic()) == 0
