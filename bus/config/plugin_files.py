"""Checks of a configuration's plugins against the files on disk, for `--check`.

A running node waits for a component that is not there yet, so a program that starts does without.
"""

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path

from bus.config.settings import Config
from bus.contract import component_section, given_settings
from bus.contract.component_section import BadDescriptionError
from bus.contract.description import PluginDescription
from bus.errors import MisconfiguredError
from bus.install import assets

_FILES = ("*.wasm", "*.cwasm", "plugin.toml")


def check(config: Config, file: Path | None) -> None:
    """Raise MisconfiguredError where a plugin that the configuration names does not exist.

    `file` is what the configuration was read from, None for the built-in defaults.
    """
    plugins = config.plugins
    names = known(config)
    for place, name in _named(plugins.enabled, plugins.limits, plugins.grants, plugins.settings):
        if name not in names:
            raise MisconfiguredError(
                f"{file or 'built-in defaults'}: {place}: found {name!r}, "
                f"expected {_expected(name, names, plugins.directory)}"
            )
    _check_settings(config, file)


def known(config: Config) -> set[str]:
    """Return the plugins that a node with this configuration finds, built or as source."""
    return _names(Path(config.plugins.directory)) | _names(assets.root() / "plugins")


def _check_settings(config: Config, file: Path | None) -> None:
    """Raise MisconfiguredError where a value does not fit what its plugin's component describes."""
    for plugin in config.plugins.settings:
        wasm = assets.component(config.plugins.directory, plugin)
        try:
            said = component_section.read(wasm) or PluginDescription()
        except FileNotFoundError:
            continue
        except (BadDescriptionError, OSError) as e:
            raise MisconfiguredError(str(e)) from e
        given = config.plugins.given_settings(plugin)
        if sentence := given_settings.refusal(plugin, said.settings, given):
            raise MisconfiguredError(f"{file or 'built-in defaults'}: {sentence}")


def _names(directory: Path) -> set[str]:
    """Return the plugins that are below a directory, built or as source."""
    files = (file for pattern in _FILES for file in directory.glob(f"*/{pattern}"))
    return {file.parent.name for file in files}


def _named(enabled: list[str], *tables: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    yield from ((f"plugins.enabled[{index}]", name) for index, name in enumerate(enabled))
    for key, table in zip(("limits", "grants", "settings"), tables, strict=True):
        yield from ((f"plugins.{key}.{name}", name) for name in table)


def _expected(name: str, known: set[str], directory: str) -> str:
    if not known:
        return f"a plugin in plugins.directory = {directory}, which holds none"
    near = get_close_matches(name, known, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    return f"one of {', '.join(sorted(known))} in plugins.directory = {directory}{hint}"
