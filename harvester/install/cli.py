"""`harvester install`: sets this machine up as a hub or as a node."""

import argparse
import os
import socket
from pathlib import Path

from bus.client import credentials
from bus.config import config_file
from bus.contract.topics import is_name
from bus.errors import MisconfiguredError
from bus.install import extras
from harvester.hub.own_names import addresses
from harvester.install import attached_options, found, tables
from harvester.install.found import Found
from harvester.install.step import Step, install
from harvester.install.system import System
from harvester.install.tables import NodeOptions

_PAGE_NAMES = 2


def define(parser: argparse.ArgumentParser) -> None:
    """Add the command's two verbs."""
    parser.description = (
        "Set this machine up: environment, user, groups, configuration, systemd units. Done again, "
        "it changes what is missing and leaves the configuration as it is."
    )
    verbs = parser.add_subparsers(required=True, metavar="COMMAND")
    hub = verbs.add_parser("hub", help="broker, history, page, and a node of its own")
    hub.set_defaults(run=_hub)
    node = verbs.add_parser("node", help="a node that runs plugins, or a Pi Zero's light service")
    node.add_argument(
        "--credentials",
        type=Path,
        metavar="FILE",
        help="the login that `harvester enroll` made on the hub; names the node, too",
    )
    node.add_argument(
        "--light", action="store_true", help="the light service of a Pi Zero, without plugins"
    )
    attached_options.define(node)
    node.set_defaults(run=_node)
    for verb in (hub, node):
        verb.add_argument("--name", help="the node's id; default: the host name, or the login's")
        verb.add_argument("--dry-run", action="store_true", help="print every step; change nothing")


def _hub(options: argparse.Namespace) -> None:
    extras.load("harvester.install.certificate_step", "harvester install hub", "hub")
    seen = _look()
    name = _configured("hub") or _checked(options.name or seen.host)
    _install(tables.hub(System(), seen, name), dry_run=options.dry_run)
    if not options.dry_run:
        print(_hub_end())


def _node(options: argparse.Namespace) -> None:
    seen = _look()
    role, steps = ("pizero", tables.pizero) if options.light else ("spoke", tables.node)
    login = credentials.load(options.credentials) if options.credentials else None
    if options.credentials and login is None:
        raise MisconfiguredError(f"{options.credentials}: found no file")
    content = options.credentials.read_bytes() if options.credentials else None
    wanted = options.name or (login.username if login else seen.host)
    name = _configured(role) or _checked(wanted)
    if login is not None and login.username != name:
        raise MisconfiguredError(
            f"{options.credentials}: found the login of {login.username!r}, expected that of "
            f"{name!r}, as this machine is called"
        )
    chosen = NodeOptions(
        credentials=content,
        attached=attached_options.read(options),
        area=attached_options.read_area(options),
    )
    _install(steps(System(), seen, name, chosen), dry_run=options.dry_run)
    if not options.dry_run:
        print(f"\n{name} runs. Its log: journalctl -fu 'harvester-*'")


def _look() -> Found:
    seen = found.look()
    print(f"found    {seen}")
    return seen


def _install(steps: list[Step], *, dry_run: bool) -> None:
    require_root(dry_run=dry_run)
    # Whatever the shell of root says: the services must be able to read the program.
    os.umask(0o022)
    for outcome in install(steps, dry_run=dry_run):
        print(outcome, flush=True)


def require_root(*, dry_run: bool) -> None:
    """Raise MisconfiguredError where this process may not change the machine, or has no systemd."""
    if dry_run:
        return
    if os.geteuid() != 0:
        raise MisconfiguredError("this changes the machine: put `sudo` before it")
    if not Path("/run/systemd/system").is_dir():
        raise MisconfiguredError("found no systemd running, which starts the services")


def _configured(role: str) -> str:
    """Return the node's id in a configuration that is there already, which is kept."""
    path = config_file.INSTALLED / f"{role}.toml"
    return config_file.load(path).cluster.node_id if path.is_file() else ""


def _checked(name: str) -> str:
    if not is_name(name):
        raise MisconfiguredError(
            f"found the name {name!r}, expected small letters, digits and hyphens; give --name"
        )
    return name


def _hub_end() -> str:
    config = config_file.load(config_file.INSTALLED / "hub.toml", role="hub")
    scheme = "https" if config.web.tls else "http"
    hosts = [*addresses(config), f"{socket.gethostname()}.local"][:_PAGE_NAMES]
    pages = "\n".join(f"  {scheme}://{_in_url(host)}:{config.web.port}/" for host in hosts)
    return (
        f"\nThe page:\n{pages}\n\n"
        "Next:\n"
        "  sudo harvester doctor --role hub    what this machine still lacks\n"
        "  sudo harvester join-code pi4        one line to run on a new machine, which makes it\n"
        "                                      the node pi4; the page has it, too: Add a node\n"
        "  sudo harvester passwd ann           a login for a person; the page asks for it with\n"
        "                                      login = true in [web] of /etc/harvester/hub.toml"
    )


def _in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host
