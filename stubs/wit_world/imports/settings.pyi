# Written by `harvester plugins stubs` from wit/plugin.wit.
"""What the owner of the node chose for this plugin. Since 1.1.0."""

def get(key: str) -> str | None:
    """The value of a setting that the plugin's `plugin.toml` describes, as JSON: what a command set,
    else the configuration's, else the default. It may change from poll to poll. None where no
    such setting is described.
    """

def get_for(sensor_id: str, key: str) -> str | None:
    """The same for one sensor of the plugin: the sensor's own value, where the setting's scope is
    "sensor" and there is one; else what `get` returns.
    """
