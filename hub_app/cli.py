"""The command `hub-app`: broker, live state, history and page; or the page of a fleet."""

import asyncio
import os
import sys
from functools import partial
from pathlib import Path

from bus import journal_log
from bus.config import command_line, config_file, directories
from bus.config.settings import Config
from bus.errors import MisconfiguredError
from bus.install import extras
from hub_app.alarms import addresses
from hub_app.homeassistant.forward import login
from hub_app.process import own_state, server
from node_agent.sandbox import cache
from node_agent.sandbox.renderer import Renderer

# Rendering a page of 200 nodes takes far longer than a poll may take.
_RENDER_DEADLINE_S = 5.0
_RENDER_MEMORY_MB = 64


def main() -> None:
    """Run the hub until SIGTERM or SIGINT; exit with 2 if the configuration is wrong."""
    parser = command_line.parser("hub-app", __doc__ or "")
    parser.add_argument(
        "--role",
        choices=("hub", "fleet"),
        help="a site's hub, or the page over the database of many; default: the file's, hub",
    )
    parser.add_argument(
        "--share",
        metavar="K/N",
        help="be worker K of N hubs on the broker of broker.url, each with its share of the nodes",
    )
    options = parser.parse_args()
    if options.share is not None:
        options.overrides.append(f"broker.share={options.share}")
    role = options.role or "hub"
    if options.config is None and config_file.find(role, Path.cwd()) is None:
        # Without a configuration file, this program still has a role.
        options.overrides.insert(0, f"cluster.role={role}")
    config = command_line.load(options, role, check=_check)
    try:
        asyncio.run(_run(config))
    except MisconfiguredError as e:
        journal_log.print_error(str(e))
        sys.exit(command_line.EXIT_MISCONFIGURED)
    except own_state.RestoredError as e:
        journal_log.print_error(str(e))
        # Not the exit code of a wrong configuration: systemd starts the hub again.
        sys.exit(1)


def _check(config: Config) -> None:
    if config.cluster.role not in ("hub", "fleet"):
        raise MisconfiguredError(
            f'cluster.role: found {config.cluster.role!r}, expected "hub" or "fleet" for hub-app'
        )
    addresses.load(config.notify)
    if config.homeassistant.broker:
        login.connection(config.homeassistant)


async def _run(config: Config) -> None:
    renderer = partial(
        Renderer,
        cache_dir=directories.cache_dir(config, os.environ),
        deadline_s=_RENDER_DEADLINE_S,
        memory_mb=_RENDER_MEMORY_MB,
    )
    run = server.run
    if config.cluster.role == "fleet":
        run = extras.load("hub_app.fleet.page.server", "hub-app --role fleet", "fleet").run
    await run(config, renderer, os.environ, cache.end_compilers)


if __name__ == "__main__":
    main()
