"""Picture on a node's display, as it is published: the last one that was seen."""

from bus.client.node import NodeBus
from bus.config.settings import Config
from bus.contract.messages import Oled
from bus.contract.topics import TopicKind
from node_agent.hal.capabilities import Hardware
from node_agent.hal.display.tap import WIDTH, DisplayTap, Picture


class DisplayPicture:
    """The picture of a display, if there is one. The cycle's thread calls it."""

    def __init__(self, display: DisplayTap | None, bus: NodeBus) -> None:
        self._display = display
        self._bus = bus
        self._picture: Picture | None = None

    def has_changed(self) -> bool:
        """Return whether the display shows another picture than at the last call."""
        last, self._picture = self._picture, self._display.seen() if self._display else None
        return self._picture != last

    def publish(self) -> None:
        if self._picture is not None:
            on, frame = self._picture
            self._bus.publish(TopicKind.OLED, Oled(WIDTH, self._picture.height, on, frame))


def tap(config: Config, hardware: Hardware) -> DisplayTap | None:
    """Follow the node's display; of several, the first that the configuration names."""
    addresses = config.hardware.ssd1306_addresses
    if not addresses:
        return None
    return DisplayTap(int(addresses[0], 16), hardware.i2c_transfer)
