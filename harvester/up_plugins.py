"""Plugins that `harvester up --plugin` adds to the simulated Pi 4: enabled, granted, and found."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from bus.config.grant_table import Grant, Output, granted_pins
from bus.config.settings import Config
from bus.contract.topics import is_name
from bus.errors import MisconfiguredError
from harvester import host_calls
from harvester.plugins import manifest
from harvester.plugins.bench import everything
from harvester.plugins.builder import least_world
from harvester.plugins.project import chosen
from harvester.plugins.source import PluginSource, python_files, read
from node_agent.hal.simulated.models.load import load

_FOLDER = "plugins"
_HEARTBEAT_LED = 0
# The call of gpio-provider that needs a grant; its clock and thermometer need none.
_PIN_CALL = "read_dht22"
# The grants that each interface needs.
_GRANTS = {
    "gpio-provider": ("gpio",),
    "led-controller": ("leds",),
    "i2c": ("i2c",),
    "buzzer-controller": ("buzzer",),
    "fan-controller": ("fan",),
    "spi": ("spi",),
    "uart": ("uart",),
    "plugin-state": ("state",),
    "gpio": ("inputs", "outputs"),
    "readings": ("readings",),
    "events": ("events",),
}


def named(project: Path, names: Sequence[str]) -> list[PluginSource]:
    """Return the plugins that are folders or names of the project's plugins.

    Raises MisconfiguredError where one is neither, or where two folders have one name.
    """
    found: dict[str, PluginSource] = {}
    for source in (_named(project, name) for name in names):
        first = found.setdefault(source.name, source)
        if first.directory.resolve() != source.directory.resolve():
            raise MisconfiguredError(
                f"--plugin: found {first.directory} and {source.directory}, expected one plugin "
                f"called {source.name}"
            )
    return list(found.values())


def _named(project: Path, name: str) -> PluginSource:
    folder = Path(name)
    if (folder / manifest.NAME).is_file():
        return read(folder.resolve())
    if folder.is_dir() or "/" in name:
        raise MisconfiguredError(
            f"--plugin: found {name}, expected a folder with {manifest.NAME} in it"
        )
    (source,) = chosen(project, [name])
    return source


def overrides(config: Config, added: Sequence[PluginSource]) -> list[str]:
    """Return the keys that enable the plugins on the node with `config`, and their grants.

    Grants that the configuration has already stay as they are.
    """
    names = [source.name for source in added if source.name not in config.plugins.enabled]
    keys = [f"plugins.enabled={json.dumps([*config.plugins.enabled, *dict.fromkeys(names)])}"]
    taken = [config.plugins.grants.get(name, Grant()) for name in config.plugins.enabled]
    for source in added:
        if source.name not in config.plugins.grants:
            grant = _grant(config, source, taken)
            taken.append(grant)
            keys += [f"plugins.grants.{source.name}.{line}" for line in _lines(grant)]
    return keys


def _grant(config: Config, source: PluginSource, taken: Sequence[Grant]) -> Grant:
    """Return what the plugin's source uses of what the node has and no other plugin was granted."""
    used = _used(source)
    granted = {key for name, keys in _GRANTS.items() if name in used or "*" in used for key in keys}
    free = everything(config)
    addresses = {text for grant in taken for text in grant.i2c}
    inputs, outputs = _pins(source, free, taken)
    possible = msgspec.structs.replace(
        free,
        leds=_leds(source, free, taken),
        i2c=_own_addresses(source) or [text for text in free.i2c if text not in addresses],
        uart=not any(grant.uart for grant in taken),
        inputs=inputs,
        outputs=outputs,
    )
    return Grant(**{key: getattr(possible, key) for key in granted})


def _leds(source: PluginSource, free: Grant, taken: Sequence[Grant]) -> list[int]:
    """Return the LEDs that the source names, or all free ones where none is known."""
    if found := host_calls.numbers(python_files(source), host_calls.LED_CALLS):
        return sorted(found)
    others = {led for grant in taken for led in grant.leds} | {_HEARTBEAT_LED}
    return [led for led in free.leds if led not in others]


def _pins(
    source: PluginSource, free: Grant, taken: Sequence[Grant]
) -> tuple[list[int], list[Output]]:
    """Return the inputs and outputs that the source names; unknown inputs may be any free pin."""
    files = python_files(source)
    inputs = host_calls.numbers(files, host_calls.INPUT_CALLS)
    outputs = host_calls.numbers(files, host_calls.OUTPUT_CALLS) or set()
    if inputs is None:
        others = {pin for grant in taken for _, pin in granted_pins("", grant)}
        inputs = set(free.inputs) - others - outputs
    return sorted(inputs), [Output(pin=pin, safe="low") for pin in sorted(outputs)]


def _used(source: PluginSource) -> set[str]:
    """Return the interfaces that the source imports; gpio-provider only where it reads a pin."""
    texts = [file.read_text(encoding="utf-8") for file in python_files(source)]
    used = least_world.interfaces_in(texts)
    if not any(_PIN_CALL in text for text in texts):
        used.discard("gpio-provider")
    return used


def _own_addresses(source: PluginSource) -> list[str]:
    """Return the addresses of the plugin's simulated chips."""
    if not source.simulation.is_file():
        return []
    chips = load(source.simulation.resolve()).chips
    return sorted({place for chip in chips if chip.bus == "i2c" for place in chip.places})


def _lines(grant: Grant) -> Iterator[str]:
    """Yield `key=value` in TOML for each key that grants something."""
    for key, value in msgspec.to_builtins(grant).items():
        if value and key != "outputs":
            yield f"{key}={json.dumps(value)}"
    if grant.outputs:
        outputs = (f'{{pin = {output.pin}, safe = "{output.safe}"}}' for output in grant.outputs)
        yield f"outputs=[{', '.join(outputs)}]"


def folder(directory: Path, added: Sequence[PluginSource], state: Path) -> Path:
    """Return a folder in which a node finds the plugins in `directory` and those that were added.

    It is `directory` itself where that has them all, else one below `state` that links to each.
    """
    if all(source.directory.resolve().parent == directory.resolve() for source in added):
        return directory
    links = state / _FOLDER
    links.mkdir(parents=True, exist_ok=True)
    for old in links.iterdir():
        if old.is_symlink():
            old.unlink()
    targets = {path.name: path for path in directory.glob("*") if path.is_dir()}
    targets = {name: path for name, path in targets.items() if is_name(name)}
    targets |= {source.name: source.directory for source in added}
    for name, target in targets.items():
        (links / name).symlink_to(target.resolve(), target_is_directory=True)
    return links
