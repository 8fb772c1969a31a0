"""Settings of the OLED plugin as one value, from the JSON that the host answers."""

from dataclasses import dataclass

from oled.screen import FRESH_S
from setting import Get, number, switch, text

SIZES = {"128x64": 64, "128x32": 32}


@dataclass(frozen=True)
class Wiring:
    """Display and its place on the bus; another one has to be set up anew."""

    address: int = 0x3C
    controller: str = "SSD1306"
    height: int = 64
    contrast: int = 127
    is_flipped: bool = False


@dataclass(frozen=True)
class Options:
    lines: str = ""
    title: str = "HARVESTER OS"
    screen_s: float = 6.0
    fresh_s: float = FRESH_S
    wiring: Wiring = Wiring()

    @classmethod
    def read(cls, get: Get) -> "Options":
        """Return the settings of this moment."""
        return cls(
            lines=text(get, "lines", cls.lines),
            title=text(get, "title", cls.title),
            screen_s=number(get, "screen_s", cls.screen_s),
            fresh_s=number(get, "fresh_s", cls.fresh_s),
            wiring=Wiring(
                address=int(text(get, "address", "0x3c"), 16),
                controller=text(get, "controller", Wiring.controller),
                height=SIZES[text(get, "size", "128x64")],
                contrast=int(number(get, "contrast", Wiring.contrast)),
                is_flipped=switch(get, "flip", default=Wiring.is_flipped),
            ),
        )
