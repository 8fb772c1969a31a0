"""Settings of a plugin, from the JSON that the host answers."""

import json
from collections.abc import Callable, Mapping
from typing import Any

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


def text(get: Get, key: str, default: str) -> str:
    """Return a text or a choice.

    >>> text({"size": '"128x32"'}.get, "size", "128x64")
    '128x32'
    """
    found = get(key)
    return default if found is None else str(json.loads(found))


def switch(get: Get, key: str, *, default: bool) -> bool:
    """Return whether a switch is on.

    >>> switch({"alarm": "false"}.get, "alarm", default=True)
    False
    """
    text = get(key)
    return default if text is None else bool(json.loads(text))


def values(get: Get, defaults: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of the settings that `defaults` names, each of the type of its default.

    >>> values({"high_c": "28", "alarm": "false"}.get, {"high_c": 30.0, "led": 1, "alarm": True})
    {'high_c': 28.0, 'led': 1, 'alarm': False}
    """
    found = {key: (default, get(key)) for key, default in defaults.items()}
    return {
        key: default if text is None else type(default)(json.loads(text))
        for key, (default, text) in found.items()
    }
