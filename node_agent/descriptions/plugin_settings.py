"""Settings of one plugin: a command's value, else the configuration's, else the default."""

import logging
import threading
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

from bus.contract import setting_value
from bus.contract.bounds import FieldName
from bus.contract.description import SettingDescription, Settings, SettingValue
from bus.errors import BadCommandError
from bus.files import whole_file

logger = logging.getLogger(__name__)

# Returns the value of a setting as JSON, None where there is none.
GetSetting = Callable[[str], str | None]
Values = dict[FieldName, SettingValue]


def no_setting(_key: str) -> None:
    """Answer for a plugin without settings."""


class PluginSettings:
    """The settings of `plugin`. Any thread may call.

    `configured` are the values of the node's configuration; those that commands set are kept in the
    file at `path`. `described` is the table of the component that runs, empty until there is one.
    """

    def __init__(
        self,
        plugin: str = "",
        configured: Mapping[str, SettingValue] | None = None,
        path: Path | None = None,
    ) -> None:
        self._plugin = plugin
        self._configured = dict(configured or {})
        self._path = path
        self._kept = _read(path) if path is not None else {}
        self._lock = threading.Lock()
        self.described: Settings = {}

    def refusal(self, described: Settings) -> str:
        """Return why the configuration's values do not fit a component's table, or nothing."""
        line = setting_value.first_mistake(described, self._configured)
        return f"plugins.settings.{self._plugin}.{line}" if line else ""

    def adopt(self, described: Settings) -> None:
        """Take the table of the component that runs from now on.

        A kept value that does not fit any more is not used, with a warning.
        """
        self.described = described
        for key, value in self._kept.items():
            if line := setting_value.first_mistake(described, {key: value}):
                logger.warning("plugin %s: a kept setting is not used: %s", self._plugin, line)

    def values(self) -> Values:
        """Return every described setting with the value that holds."""
        described = self.described
        return {key: self._value(key, setting) for key, setting in described.items()}

    def get(self, described: Settings, key: str) -> str | None:
        """Return the value of a setting as JSON, None where `described` has no such setting.

        A component on trial has another table than the one that runs.
        """
        setting = described.get(key)
        if setting is None:
            return None
        return msgspec.json.encode(self._value(key, setting)).decode()

    def set(self, values: Mapping[str, SettingValue | None]) -> None:
        """Set and keep values; None brings the configuration's back.

        Raises BadCommandError, with nothing set, where one does not fit or the disk refuses.
        """
        given = {key: value for key, value in values.items() if value is not None}
        # Of an unknown setting, the name alone is the mistake.
        checked = given | {key: "" for key in values if key not in self.described}
        if line := setting_value.first_mistake(self.described, checked):
            raise BadCommandError(f"settings.{line}")
        with self._lock:
            kept = {key: old for key, old in self._kept.items() if key not in values} | given
            self._save(kept)
            self._kept = kept

    def _value(self, key: str, setting: SettingDescription) -> SettingValue:
        for given in (self._kept, self._configured):
            if key in given and setting_value.mistake(setting, given[key]) is None:
                return given[key]
        return setting.default

    def _save(self, kept: Values) -> None:
        if self._path is None:
            return
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            whole_file.replace(self._path, msgspec.json.encode(kept))
        except OSError as e:
            raise BadCommandError(f"the settings cannot be kept: {self._path}: {e}") from e


def _read(path: Path) -> Values:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Values)
    except FileNotFoundError:
        return {}
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, OSError) as e:
        logger.warning("%s: %s; only the configuration's settings hold", path, e)
        return {}
