"""Limits of one guest. Pure."""

import msgspec

from bus.config.settings import PluginLimits, PluginsConfig


class Limits(msgspec.Struct, frozen=True):
    """Limits of a call and of its value, of memory and of log lines; of a bundle's load, too.

    `memory_mb` bounds memories and tables together.
    """

    deadline_s: float = 1.0
    load_deadline_s: float = 10.0
    memory_mb: int = 32
    log_lines_per_minute: int = 120
    result_bytes: int = 64 * 1024
    readings: int = 64
    host_calls: int = 10_000


def limits_of(plugins: PluginsConfig, name: str) -> Limits:
    """Return the limits of one plugin: its own, and those of all where it has none."""
    own = plugins.limits.get(name, PluginLimits())

    def limit(key: str) -> float:
        found = getattr(own, key)
        return getattr(plugins, key) if found is None else found  # type: ignore[no-any-return]

    return Limits(
        deadline_s=limit("poll_deadline_s"),
        load_deadline_s=limit("load_deadline_s"),
        memory_mb=int(limit("memory_mb")),
        log_lines_per_minute=int(limit("log_lines_per_minute")),
        result_bytes=int(limit("result_kb")) * 1024,
        readings=int(limit("readings_per_poll")),
        host_calls=int(limit("host_calls_per_poll")),
    )
