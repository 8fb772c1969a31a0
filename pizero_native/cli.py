"""`pizero-native`: runs the light service, or the plugin host in its place."""

import os
import signal
import sys
from collections.abc import Collection, Sequence
from functools import partial
from pathlib import Path
from typing import NoReturn

from bus.config import config_file
from bus.config.command_line import EXIT_MISCONFIGURED, load, parser
from bus.config.settings import Config
from bus.errors import MisconfiguredError
from bus.service_manager import stop_signals
from pizero_native import native_plugins, service


def main(argv: Sequence[str] | None = None) -> int:
    """Run the service until SIGINT, SIGTERM or SIGHUP; return the exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    options = parser(
        "pizero-native",
        "BME680, own health and pings of a Pi Zero 2W, published to the hub's broker.",
    ).parse_args(arguments)
    options.config = options.config or config_file.find("pizero", Path.cwd())
    config = load(options, "pizero", check=_check)
    if config.cluster.service == "plugin-host":
        _become_plugin_host(options.config, arguments)
    # Blocked before any thread starts, and awaited below: no handler can cut into anything.
    stops = stop_signals()
    signal.pthread_sigmask(signal.SIG_BLOCK, stops)
    try:
        service.run(config, partial(_stop_within, stops))
    except MisconfiguredError:
        return EXIT_MISCONFIGURED
    return 0


def _check(config: Config) -> None:
    if config.cluster.role != "spoke":
        raise MisconfiguredError(
            f'cluster.role: found {config.cluster.role!r}, expected "spoke" for pizero-native'
        )
    if config.cluster.service == "native":
        native_plugins.check_settings(config)


def _become_plugin_host(config: Path | None, arguments: Sequence[str]) -> NoReturn:
    """Go on as `node-agent` in this process: the same service, without this program's memory."""
    found = ["--config", str(config)] if config is not None else []
    command = [sys.executable, "-m", "node_agent", "--role", "spoke", *found, *arguments]
    os.execv(command[0], command)  # noqa: S606 - our own program, no shell


def _stop_within(stops: Collection[signal.Signals], seconds: float) -> bool:
    found = signal.sigtimedwait(stops, max(0.0, seconds))
    # A process that was stopped for longer than it waited gets an empty answer when it goes on
    # (CPython 3.11, signal_sigtimedwait_impl): nobody asked it to end.
    return found is not None and found.si_signo in stops


if __name__ == "__main__":
    sys.exit(main())
