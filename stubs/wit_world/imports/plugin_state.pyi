# Written by `harvester plugins stubs` from wit/plugin.wit.
"""Small values that outlive a restart of the plugin; a power cut loses the last minute at most."""

def get(key: str) -> str | None: ...

def set(key: str, value: str) -> None:
    """Raises Err with a str."""
