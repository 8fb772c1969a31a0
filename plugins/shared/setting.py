"""Settings of a plugin, from the JSON that the host answers."""

import json
from collections.abc import Callable, Mapping

# Returns the value of a setting as JSON, None where the host knows none.
Get = Callable[[str], str | None]


def numbers(get: Get, defaults: Mapping[str, float]) -> dict[str, float]:
    """Return the numbers of the settings that `defaults` names.

    >>> numbers({"high_c": "28.5"}.get, {"high_c": 30.0, "low_c": 15.0})
    {'high_c': 28.5, 'low_c': 15.0}
    """
    return {key: number(get, key, default) for key, default in defaults.items()}


def number(get: Get, key: str, default: float) -> float:
    text = get(key)
    return default if text is None else float(json.loads(text))


def integer(get: Get, key: str, default: int) -> int:
    text = get(key)
    return default if text is None else int(json.loads(text))


def switch(get: Get, key: str, *, default: bool) -> bool:
    """Return whether a switch is on.

    >>> switch({"alarm": "false"}.get, "alarm", default=True)
    False
    """
    text = get(key)
    return default if text is None else bool(json.loads(text))
