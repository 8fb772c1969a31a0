"""`harvester plugins inspect`: a plugin's description, imports, exports and needed grants.

The plugin is a component or a bundle.

Of a `simulated.py` it prints the chips, their places and scenario keys.
"""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import msgspec

from bus.contract import setting_value
from bus.contract.description import FieldDescription, SettingDescription
from bus.contract.plugin_file import bundle, plugin_description
from bus.errors import BadDataError, MisconfiguredError
from harvester import host_calls
from harvester.plugins.source import python_files, read
from node_agent.hal.simulated.models.load import FILE_NAME, ModelClass, load
from node_agent.plugins import grants
from node_agent.sandbox.bundles.bundle import LoadedBundle
from node_agent.sandbox.bundles.loaded import LoadedPlugin
from node_agent.sandbox.component import Functions
from node_agent.sandbox.errors import ComponentError
from node_agent.sandbox.limits import Limits
from node_agent.sandbox.runtime import Runtime

# The WebAssembly core specification 2.0, section 5.5.16: the magic number, and the version of a
# module; then a component's, by the component model's Binary.md.
_MAGIC = b"\0asm"
_MODULE = b"\x01\x00\x00\x00"
_COMPONENT = b"\x0d\x00\x01\x00"
# The call of gpio-provider that needs a grant.
_PIN_CALL = "read_dht22"
_EXPECTED = "expected a component, made by `harvester plugins build`"


def report(file: Path, cache_dir: Path) -> str:
    """Return the text for a person. Blocks for as long as the compiler takes.

    Raises ComponentError, in one line, where the file is no plugin of this contract.
    """
    if file.suffix != bundle.SUFFIX:
        _check_is_component(file)
    with Runtime(cache_dir, Limits()) as runtime, runtime.load(file) as loaded:
        lines = _lines(file, loaded)
        return "\n".join((str(file), *(f"  {key:<9}{text}".rstrip() for key, text in lines)))


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


def _lines(file: Path, loaded: LoadedPlugin) -> Iterator[tuple[str, str]]:
    size_bytes = file.stat().st_size
    size = f"{size_bytes / 1e6:.1f} MB" if size_bytes >= 1e6 else f"{size_bytes / 1e3:.1f} KB"
    yield "size", f"{size}, {size_bytes} bytes"
    yield "sha256", loaded.sha256
    if isinstance(loaded, LoadedBundle):
        yield from _column("packages", loaded.packages)
    yield from _description(file)
    yield from _column("exports", _interfaces(loaded.exports))
    yield from _column("imports", _interfaces(loaded.imports) or ["nothing of the contract"])
    yield "wasi", _wasi(loaded.wasi)
    yield from _column("grants", _grants(file, loaded))
    if (simulation := file.with_name(FILE_NAME)).is_file():
        yield "chip", f"simulated by {simulation}"


def _description(file: Path) -> Iterator[tuple[str, str]]:
    """Yield what the author says. Raises ComponentError where that is damaged."""
    try:
        said = plugin_description.read(file)
    except BadDataError as e:
        raise ComponentError(str(e)) from e
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


def _grants(file: Path, loaded: LoadedPlugin) -> list[str]:
    """Return the lines of a node's configuration without which the plugin does not load."""
    lines = grants.to_fill_in(loaded.imports)
    files = _source_files(file)
    written = host_calls.grant_lines(files)
    if "inputs" in lines and "outputs" in written:
        del lines["inputs"]
        lines |= {key: written[key] for key in ("inputs", "outputs") if key in written}
    lines |= {key: line for key, line in written.items() if key in lines}
    found = [f"[plugins.grants.{file.stem}]", *lines.values()] if lines else ["none needed"]
    if "read-dht22" in loaded.imports.get("gpio-provider", {}) and _may_read_pins(files):
        found.append(f"# and gpio = [4], with its pins, where it calls gpio_provider.{_PIN_CALL}")
    return found


def _source_files(file: Path) -> list[Path]:
    """Return the Python files beside a plugin's file; none where its folder is no source."""
    with contextlib.suppress(MisconfiguredError):
        return python_files(read(file.parent))
    return []


def _may_read_pins(files: list[Path]) -> bool:
    return not files or any(_PIN_CALL in file.read_text(encoding="utf-8") for file in files)
