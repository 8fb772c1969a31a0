"""Command for plugins: reloads, enables, disables and records them, and sets their settings."""

from collections.abc import Callable, Sequence

from bus.contract import commands
from bus.errors import BadCommandError
from node_agent.actuators.actuators import Execute
from node_agent.plugins.disabled import DisabledPlugins
from node_agent.plugins.runner import PluginRunner


def plugin_command(
    runners: Sequence[PluginRunner],
    disabled: DisabledPlugins,
    on_settings: Callable[[str], object] = lambda _plugin: None,
) -> Execute:
    """Return what executes a command; `on_settings(plugin)` is called after settings were set."""
    by_name = {runner.name: runner for runner in runners}

    def execute(payload: bytes) -> None:
        wanted = commands.parse_plugin(payload)
        runner = by_name.get(wanted.plugin)
        if runner is None:
            names = ", ".join(by_name) or "none"
            raise BadCommandError(f"plugin: found {wanted.plugin!r}, expected one of {names}")
        if wanted.action == "set":
            runner.set_settings(wanted.settings, wanted.sensor)
            on_settings(runner.name)
        elif wanted.action == "record":
            runner.command(wanted.action)
        else:
            disabled.note(runner.name, is_disabled=wanted.action == "disable")
            runner.command(wanted.action)

    return execute
