"""`harvester plugins inspect`: a component's description, imports, exports and needed grants.

Of a `simulated.py` it prints the chips, their places and scenario keys.
"""

from collections.abc import Iterator
from pathlib import Path

import msgspec

from bus.contract import component_section, setting_value
from bus.contract.component_section import BadDescriptionError
from bus.contract.description import FieldDescription, SettingDescription
from bus.errors import MisconfiguredError
from harvester.plugins.builder.contract import module_name
from node_agent.hal.simulated.models.load import FILE_NAME, ModelClass, load
from node_agent.plugins import grants
from node_agent.sandbox.component import Functions, LoadedComponent
from node_agent.sandbox.errors import ComponentError
from node_agent.sandbox.limits import Limits
from node_agent.sandbox.runtime import Runtime

# The WebAssembly core specification 2.0, section 5.5.16: the magic number, and the version of a
# module; then a component's, by the component model's Binary.md.
_MAGIC = b"\0asm"
_MODULE = b"\x01\x00\x00\x00"
_COMPONENT = b"\x0d\x00\x01\x00"
_EXPECTED = "expected a component, made by `harvester plugins build`"


def report(wasm: Path, cache_dir: Path) -> str:
    """Return the text for a person. Blocks for as long as the compiler takes.

    Raises ComponentError, in one line, where the file is no component of this contract.
    """
    _check_is_component(wasm)
    with Runtime(cache_dir, Limits()) as runtime, runtime.load(wasm) as loaded:
        lines = _lines(wasm, loaded)
        return "\n".join((str(wasm), *(f"  {key:<9}{text}".rstrip() for key, text in lines)))


def chips_report(file: Path) -> str:
    """Run a `simulated.py` and return the text about it. Raises MisconfiguredError."""
    found = load(file.resolve())
    if found.problems:
        raise MisconfiguredError("\n".join(found.problems))
    return "\n".join((str(file), *(line for chip in found.chips for line in _chip(chip))))


def _chip(chip: ModelClass) -> Iterator[str]:
    """Yield for example `  Bh1750: i2c 0x23` and, below it, its keys with their defaults."""
    place = ", ".join(chip.places) if chip.bus == "i2c" else ""
    rate = f"{chip.baud} baud" if chip.bus == "uart" else ""
    yield f"  {chip.name}: {' '.join(filter(None, (chip.bus, place, rate)))}"
    yield from (f"    {key} = {value:g}" for key, value in chip.keys.items())


def grant_lines(plugin: str, loaded: LoadedComponent) -> list[str]:
    """Return the lines of a node's configuration without which the component does not load."""
    lines = grants.needed(loaded.imports)
    return [f"[plugins.grants.{plugin}]", *lines.values()] if lines else []


def _check_is_component(wasm: Path) -> None:
    try:
        with wasm.open("rb") as file:
            head = file.read(len(_MAGIC) + len(_COMPONENT))
    except OSError as e:
        raise ComponentError(f"{wasm}: {e.strerror}; {_EXPECTED}") from e
    if not head:
        raise ComponentError(f"{wasm}: found an empty file, {_EXPECTED}")
    if not head.startswith(_MAGIC):
        raise ComponentError(f"{wasm}: found no WebAssembly, {_EXPECTED}")
    version = head.removeprefix(_MAGIC)
    if version == _MODULE:
        raise ComponentError(f"{wasm}: found a core module, {_EXPECTED}")
    if version != _COMPONENT:
        raise ComponentError(f"{wasm}: found WebAssembly version {version.hex(' ')}, {_EXPECTED}")


def _lines(wasm: Path, loaded: LoadedComponent) -> Iterator[tuple[str, str]]:
    size_bytes = wasm.stat().st_size
    yield "size", f"{size_bytes / 1e6:.1f} MB, {size_bytes} bytes"
    yield "sha256", loaded.sha256
    yield from _description(wasm)
    yield from _column("exports", _interfaces(loaded.exports))
    yield from _column("imports", _interfaces(loaded.imports) or ["nothing of the contract"])
    yield "wasi", _wasi(loaded.wasi)
    yield from _column("grants", _grants(wasm.stem, loaded))
    if (simulation := wasm.with_name(FILE_NAME)).is_file():
        yield "chip", f"simulated by {simulation}"


def _description(wasm: Path) -> Iterator[tuple[str, str]]:
    """Yield what the author says. Raises ComponentError where that is damaged."""
    try:
        said = component_section.read(wasm)
    except BadDescriptionError as e:
        raise ComponentError(str(e)) from e
    if said is None:
        return
    named = {"title": said.title, "version": said.version, "author": said.author}
    yield from ((key, text) for key, text in named.items() if text)
    yield from _column("fields", [_field(name, field) for name, field in said.fields.items()])
    yield from _column(
        "settings", [_setting(name, setting) for name, setting in said.settings.items()]
    )


def _field(name: str, field: FieldDescription) -> str:
    """Return for example `co2: CO2 in ppm, carbon_dioxide, 0 to 5000`."""
    unit = f" in {field.unit}" if field.unit else ""
    span = f"{field.range[0]:g} to {field.range[1]:g}" if field.range else ""
    parts = (f"{field.label or name}{unit}", field.quantity, span)
    return f"{name}: {', '.join(filter(None, parts))}"


def _setting(name: str, setting: SettingDescription) -> str:
    """Return for example `high_c = 30.0: Too warm above, a number from 0 to 80, in degC`."""
    unit = f"in {setting.unit}" if setting.unit else ""
    scope = "for each sensor" if setting.scope == "sensor" else ""
    parts = (setting.label, setting_value.expected(setting), unit, scope)
    default = msgspec.json.encode(setting.default).decode()
    return f"{name} = {default}: {', '.join(filter(None, parts))}"


def _column(key: str, texts: list[str]) -> Iterator[tuple[str, str]]:
    for place, text in enumerate(texts):
        yield ("" if place else key), text


def _interfaces(interfaces: dict[str, Functions]) -> list[str]:
    return [
        f"{name}: {', '.join(functions)}" if functions else name
        for name, functions in interfaces.items()
    ]


def _wasi(names: list[str]) -> str:
    """Return how many interfaces of which packages: `wasi:io/poll@0.2.6` is one of `io`."""
    if not names:
        return "nothing"
    packages = sorted({name.partition(":")[2].partition("/")[0] for name in names})
    return (
        f"{len(names)} interfaces of {', '.join(packages)}; behind them are no files, no network "
        "and no environment"
    )


def _grants(plugin: str, loaded: LoadedComponent) -> list[str]:
    found = grant_lines(plugin, loaded) or ["none needed"]
    if any(line.startswith(("leds", "i2c", "readings")) for line in found):
        found.append("# numbers and names are examples: the LEDs, addresses and sensors it uses")
    if "gpio" in loaded.imports:
        output = '{ pin = 22, safe = "low" }'
        found.append(f"# with its pins, those that it drives in outputs = [{output}]")
    if "read-dht22" in loaded.imports.get("gpio-provider", {}):
        call = f"gpio_provider.{module_name('read-dht22')}"
        found.append(f"# and gpio = [4], with its pins, where it calls {call}")
    return found
