"""Files of a configuration's plugins on disk, and checks against them for `--check`.

A running node waits for a component that is not there yet, so a program that starts does without.
"""

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path

from bus.config.settings import Config, PluginsConfig
from bus.contract import given_settings
from bus.contract.plugin_file import plugin_description
from bus.contract.plugin_file.bundle import SUFFIX
from bus.errors import BadDataError, MisconfiguredError
from bus.install import assets

_COMPONENT = ".wasm"
_FILES = (f"*{_COMPONENT}", "*.cwasm", f"*{SUFFIX}", "plugin.toml")


def plugin_file(plugins: PluginsConfig, plugin: str) -> Path:
    """Return the path of a plugin's file: the component or the bundle, whichever is there.

    Where both are, it is the one of `plugins.form`. With "auto" several plugins run as bundles,
    which share the memory of their runtime. One alone takes less as a component, and any starts
    sooner as one where it runs as bytecode.
    """
    folder = assets.plugin_folder(plugins.directory, plugin)
    component, bundle = (folder / f"{plugin}{suffix}" for suffix in (_COMPONENT, SUFFIX))
    if not component.is_file():
        return bundle
    prefers_bundle = plugins.form == "bundle" or (
        plugins.form == "auto" and len(plugins.enabled) > 1 and plugins.target != "pulley64"
    )
    return bundle if prefers_bundle and bundle.is_file() else component


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
    """Raise MisconfiguredError where a value does not fit what its plugin describes."""
    for plugin in config.plugins.settings:
        try:
            said = plugin_description.read(plugin_file(config.plugins, plugin))
        except FileNotFoundError:
            continue
        except (BadDataError, OSError) as e:
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
