# Written by `harvester plugins stubs` from wit/plugin.wit.
"""One full-duplex transaction on the SPI bus."""

def transfer(data: bytes) -> bytes:
    """Raises Err with a str."""
