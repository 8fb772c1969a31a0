"""Check of a setting's value against the description that its plugin's author gave."""

from collections.abc import Mapping
from difflib import get_close_matches

from bus.contract.description import SettingDescription, SettingValue
from bus.contract.mistake import limit_text, shown

_EXPECTED = {
    "number": "a number",
    "integer": "an integer",
    "text": "a string",
    "switch": "true or false",
}
_TYPES: dict[str, tuple[type, ...]] = {
    "number": (int, float),
    "integer": (int,),
    "text": (str,),
    "switch": (bool,),
}


def mistake(setting: SettingDescription, value: object) -> str | None:
    """Return `found this, expected that` where `value` does not fit, else None."""
    if setting.type == "choice":
        fits = isinstance(value, str) and value in setting.choices
        return None if fits else _found(value, f"one of {', '.join(setting.choices)}")
    # In Python, true is an integer, too.
    is_of_type = isinstance(value, _TYPES[setting.type])
    if not is_of_type or (isinstance(value, bool) and setting.type != "switch"):
        return _found(value, expected(setting))
    if isinstance(value, int | float) and not _is_within(setting, value):
        return _found(value, expected(setting))
    return None


def expected(setting: SettingDescription) -> str:
    """Return in words what values a setting takes."""
    if setting.type == "choice":
        return f"one of {', '.join(setting.choices)}"
    noun = _EXPECTED[setting.type]
    if setting.min is not None and setting.max is not None:
        return f"{noun} from {limit_text(setting.min)} to {limit_text(setting.max)}"
    if setting.min is not None:
        return f"{noun} of at least {limit_text(setting.min)}"
    return noun if setting.max is None else f"{noun} of at most {limit_text(setting.max)}"


def first_mistake(
    settings: Mapping[str, SettingDescription], values: Mapping[str, SettingValue]
) -> str | None:
    """Return `key: found this, expected that` for the first bad value, else None."""
    for key, value in values.items():
        if key not in settings:
            return f"{key}: found an unknown setting, expected {_known(settings, key)}"
        if line := mistake(settings[key], value):
            return f"{key}: {line}"
    return None


def first_sensor_mistake(
    settings: Mapping[str, SettingDescription], values: Mapping[str, SettingValue]
) -> str | None:
    """Return the first mistake in the values of one sensor, as `first_mistake` does."""
    of_sensors = {key: said for key, said in settings.items() if said.scope == "sensor"}
    for key in values:
        if key in settings and key not in of_sensors:
            known = f"one of {', '.join(of_sensors)}" if of_sensors else "none for single sensors"
            return f"{key}: found a setting of the whole plugin, expected {known}"
    return first_mistake(of_sensors, values)


def _known(settings: Mapping[str, SettingDescription], key: str) -> str:
    if not settings:
        return "none: the plugin has no settings"
    near = get_close_matches(key, settings, n=1)
    return f"one of {', '.join(settings)}" + (f"; did you mean {near[0]!r}?" if near else "")


def _is_within(setting: SettingDescription, value: float) -> bool:
    return (setting.min is None or value >= setting.min) and (
        setting.max is None or value <= setting.max
    )


def _found(value: object, expectation: str) -> str:
    return f"found {shown(value)}, expected {expectation}"
