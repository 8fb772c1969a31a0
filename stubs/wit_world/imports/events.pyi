# Written by `harvester plugins stubs` from wit/plugin.wit.
"""Things that happen: a button, a movement. Since 1.1.0."""

def publish(sensor_id: str, name: str, data: str) -> None:
    """Publish an event of one of the plugin's sensors; at most 10 a poll. `sensor-id` and `name` are
    of a-z, 0-9 and dashes, `data` is a JSON object of numbers, strings and booleans; "{}" for
    none. Without a broker it is kept and sent later.

    Raises Err with a str.
    """
