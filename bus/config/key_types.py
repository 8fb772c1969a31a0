"""Types of single configuration keys, and the base class of all tables."""

from typing import Annotated

import msgspec

# BCM numbers of the 40-pin header: GPIO 0 and 1 belong to the HAT's EEPROM.
FIRST_PIN, LAST_PIN = 2, 27
# Data of SPI0, the bus 0 of `spi_device`.
SPI0_MOSI_PIN = 10
Pin = Annotated[int, msgspec.Meta(ge=FIRST_PIN, le=LAST_PIN)]
# 7-bit I2C addresses outside the reserved ranges (UM10204 section 3.1.12).
FIRST_I2C_ADDRESS, LAST_I2C_ADDRESS = 0x08, 0x77
I2cAddress = Annotated[
    str,
    msgspec.Meta(
        pattern=r"^0x(0[89a-f]|[1-6][0-9a-f]|7[0-7])\Z",
        description='a 7-bit address from "0x08" to "0x77", in lower case',
    ),
]
SpiDevice = Annotated[
    str, msgspec.Meta(pattern=r"^[0-9]+\.[0-9]+\Z", description='"BUS.DEVICE", like "0.0"')
]
Port = Annotated[int, msgspec.Meta(ge=1, le=65535)]
Seconds = Annotated[float, msgspec.Meta(gt=0, le=86_400)]
LedIndex = Annotated[int, msgspec.Meta(ge=0, le=255)]


class Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One table of the file; a key that it does not know is refused."""
