# Written by `harvester plugins stubs` from wit/plugin.wit.
"""One transaction on the I2C bus: write, then read with a repeated start."""

def transfer(addr: int, write_data: str, read_len: int) -> str:
    """`write-data` and the answer are hexadecimal, two digits a byte. An address that the node's
    configuration does not grant is an error that begins with "not granted".

    Raises Err with a str.
    """
