"""LED strip of a node in its cycle: the heartbeat LED, the write and the published state."""

import logging
from collections.abc import Sequence

from bus.client.node import NodeBus
from bus.contract.messages import Leds
from bus.contract.topics import TopicKind
from bus.errors import HarvesterError
from bus.fault import Fault
from node_agent.actuators.led_buffer import LedBuffer, to_hex
from node_agent.hal.capabilities import BLACK, Color, Hardware

logger = logging.getLogger(__name__)

_HEARTBEAT_COLORS = (Color(0, 0, 255), Color(0, 255, 255))
_HEARTBEAT_LED = 0


class Strip:
    """The strip with its buffer of `leds`. The cycle's thread calls it."""

    def __init__(
        self, leds: LedBuffer, count: int, hardware: Hardware, bus: NodeBus, *, has_heartbeat: bool
    ) -> None:
        self._leds = leds
        self._count = count
        self._hardware = hardware
        self._bus = bus
        self._has_heartbeat = has_heartbeat
        self._fault = Fault("LED strip", logger=logger, level=logging.ERROR)

    def toggle_heartbeat(self, cycle: int) -> None:
        """Change the color of the heartbeat LED, unless a plugin owns it."""
        if self._has_heartbeat:
            color = _HEARTBEAT_COLORS[cycle % len(_HEARTBEAT_COLORS)]
            self._leds.set_many((_HEARTBEAT_LED,), color)

    def write(self) -> None:
        """Show what has changed, and publish it."""
        try:
            shown = self._leds.show(self._hardware.show_pixels)
        except HarvesterError as e:
            self._fault.failed(str(e))
            return
        if shown:
            self._fault.worked()
            self._publish(shown)

    def publish(self) -> None:
        """Publish what is shown."""
        if self._leds.shown:
            self._publish(self._leds.shown)

    def darken(self) -> None:
        """Publish a dark strip: the hardware was released."""
        self._leds.set_all(BLACK)
        self._publish([BLACK] * self._count)

    def _publish(self, pixels: Sequence[Color]) -> None:
        self._bus.publish(TopicKind.LEDS, Leds([to_hex(pixel) for pixel in pixels]))


def has_heartbeat(owned: set[int]) -> bool:
    """Return whether no plugin owns the heartbeat LED."""
    return _HEARTBEAT_LED not in owned
