"""Effects of one plugin instance on the node, and when they begin and end.

An instance is on trial until it has polled once beside the one that it replaces. Until then, and
after its end, its calls succeed and have no effect.
"""

from collections.abc import Mapping

import msgspec

from bus.config.grant_table import Grant
from bus.contract.messages import Event
from node_agent.hal.capabilities import Hardware
from node_agent.host_functions.events import Claim, PluginEvents, Publish
from node_agent.host_functions.pins import PluginPins


class Effects(msgspec.Struct, frozen=True):
    """The effects of one instance. Any thread may call."""

    pins: PluginPins
    events: PluginEvents

    def begin_poll(self) -> None:
        self.events.begin_poll()

    def go_live(self) -> None:
        """Carry out calls from now on: the trial is over."""
        self.pins.go_live()
        self.events.go_live()

    def retire(self) -> None:
        """Carry out nothing any more: another instance has taken over."""
        self.pins.retire()
        self.events.retire()

    def end(self) -> None:
        """Retire, and bring the outputs to their safe levels. Twice is fine."""
        self.pins.end()
        self.events.retire()


def _every_id_is_free(_sensor_id: str) -> str:
    return ""


def _publish_nowhere(_sensor_id: str, _event: Event) -> None:
    return


class EffectParts(msgspec.Struct, frozen=True):
    """The parts that all instances of one plugin share; see `PluginPins` and `PluginEvents`."""

    plugin: str
    grant: Grant
    hardware: Hardware
    pin_users: Mapping[int, str] = {}
    claim: Claim = _every_id_is_free
    publish: Publish = _publish_nowhere

    def open(self, *, is_live: bool = True) -> Effects:
        """Return the effects of one instance, live or on trial."""
        return Effects(
            PluginPins(self.plugin, self.grant, self.hardware, self.pin_users, is_live=is_live),
            PluginEvents(
                self.plugin,
                is_granted=self.grant.events,
                claim=self.claim,
                publish=self.publish,
                is_live=is_live,
            ),
        )
