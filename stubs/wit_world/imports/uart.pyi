# Written by `harvester plugins stubs` from wit/plugin.wit.
"""The serial port."""

def read(max_len: int) -> bytes:
    """What has arrived, at most `max-len` bytes; empty when nothing has.

    Raises Err with a str.
    """

def write(data: bytes) -> int:
    """The number of bytes taken.

    Raises Err with a str.
    """

def set_baud(rate: int) -> None:
    """Raises Err with a str."""
