# Written by `harvester plugins stubs` from wit/plugin.wit.
"""The machine's own health."""

def get_memory_usage() -> tuple[int, int]:
    """Used and total memory in MB; all 32 bits set where this machine does not measure it."""

def get_cpu_usage() -> float:
    """CPU load over the last interval in percent of all cores."""

def get_uptime() -> int:
    """Seconds since boot; all 64 bits set where this machine does not measure it."""
