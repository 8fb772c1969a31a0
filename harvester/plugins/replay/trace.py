"""Trace of a plugin's host calls, each with its result and duration."""

import json
import string
import time
from collections.abc import Callable, Collection, Mapping
from functools import partial
from typing import Any, NamedTuple

import msgspec

from harvester.plugins.builder.contract import module_name
from node_agent.sandbox.instance import Err, HostFunction, Imports

# Longer values are cut; a display's frame is 1 kB.
_MAX_CHARS = 44
# Bytes that are shown as text; others are shown in hexadecimal.
_TEXT = frozenset(string.printable.encode())
_READINGS = "readings"


class Use(NamedTuple):
    """The resource that a call uses: the pin, address, LED or sensor that is its first argument."""

    interface: str
    function: str
    what: int | str | None


class HostCall(msgspec.Struct, frozen=True):
    """One host call, named as in the contract; `took_s` is its duration in the host."""

    interface: str
    function: str
    arguments: tuple[Any, ...]
    result: Any
    took_s: float

    @property
    def use(self) -> Use:
        first = next(iter(self.arguments), None)
        # Other texts are keys and names without end.
        is_resource = isinstance(first, int) or self.interface == _READINGS
        return Use(self.interface, self.function, first if is_resource else None)

    def __str__(self) -> str:
        name = f"{module_name(self.interface)}.{module_name(self.function)}"
        arguments = [_shown(argument) for argument in self.arguments]
        if self.interface == "i2c":
            arguments[0] = f"0x{self.arguments[0]:02x}"
        result = "" if self.result is None else f" -> {_shown(self.result)}"
        return f"{name}({', '.join(arguments)}){result}"


def traced(imports: Imports, on_call: Callable[[HostCall], None]) -> Imports:
    """Return `imports` such that `on_call` hears of each call when it is over."""

    def called(interface: str, name: str, function: HostFunction, *arguments: Any) -> Any:
        began_s = time.perf_counter()
        result = function(*arguments)
        took_s = time.perf_counter() - began_s
        on_call(HostCall(interface, name, arguments, result, took_s))
        return result

    return {
        interface: {
            name: partial(called, interface, name, function) for name, function in functions.items()
        }
        for interface, functions in imports.items()
    }


def _shown(value: Any) -> str:
    if isinstance(value, Err):
        return f"err {_shown(value.message)}"
    text = _spelled(value)
    return text if len(text) <= _MAX_CHARS else f"{text[: _MAX_CHARS - 4]} ..."


def _spelled(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, bytes) and not _TEXT.issuperset(value):
        return f"hex {value.hex(' ')}"
    return repr(value)


def grants_used(used: Collection[Use], needed: Mapping[str, str]) -> list[str]:
    """Return the TOML lines that cover what was `used`, and the rest of what is `needed`."""
    leds = _numbers(used, "led-controller", "set-led")
    if any(use.function == "set-two" for use in used):
        leds = sorted({0, 1, *leds})
    numbers = {
        "gpio": _numbers(used, "gpio-provider", "read-dht22"),
        "i2c": [f"0x{address:02x}" for address in _numbers(used, "i2c", "transfer")],
        "leds": leds,
        "inputs": _numbers(used, "gpio", "set-input"),
        "readings": sorted(map(str, _used(used, _READINGS, "latest"))),
    }
    lines = {key: f"{key} = {json.dumps(found)}" for key, found in numbers.items() if found}
    if outputs := _numbers(used, "gpio", "write"):
        tables = ", ".join(f'{{ pin = {pin}, safe = "low" }}' for pin in outputs)
        lines["outputs"] = f"outputs = [{tables}]"
    if "outputs" in lines and "inputs" not in lines:
        needed = {key: line for key, line in needed.items() if key != "inputs"}
    return list({**needed, **lines}.values())


def _numbers(used: Collection[Use], interface: str, function: str) -> list[int]:
    return sorted(what for what in _used(used, interface, function) if isinstance(what, int))


def _used(used: Collection[Use], interface: str, function: str) -> set[int | str | None]:
    wanted = (interface, function)
    return {use.what for use in used if (use.interface, use.function) == wanted}
