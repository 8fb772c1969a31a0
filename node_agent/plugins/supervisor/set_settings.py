"""Change of a plugin's settings by a command, also while the plugin does not run."""

from collections.abc import Mapping
from pathlib import Path

from bus.contract.description import SettingValue
from bus.contract.plugin_file import plugin_description
from bus.errors import BadCommandError, BadDataError
from node_agent.descriptions.plugin_settings import PluginSettings


def set_settings(
    name: str,
    settings: PluginSettings,
    file: Path,
    values: Mapping[str, SettingValue | None],
    sensor_id: str | None,
) -> None:
    """Set values of a plugin or of one sensor; its `file` describes them until it has run.

    Raises BadCommandError, with nothing set, where one does not fit.
    """
    if not settings.described:
        # The plugin is disabled or failed before it ran.
        try:
            said = plugin_description.read(file)
        except (BadDataError, OSError) as e:
            raise BadCommandError(f"plugin {name}: {e}") from e
        settings.adopt(said.settings, said.fields)
    settings.set(values, sensor_id)
