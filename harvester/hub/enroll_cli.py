"""`harvester enroll`: creates, lists and revokes the logins of nodes."""

import argparse
import datetime as dt
import os
from pathlib import Path

from broker.auth import accounts, bundle_key, certificates
from broker.auth.accounts import Accounts
from broker.auth.server_tls import CA_NAME, CERTIFICATE_NAME
from bus.client import credentials
from bus.client.credentials import Credentials
from bus.config import broker_url, hub_files
from bus.config.hub_files import HubFiles
from bus.config.settings import Config
from bus.errors import MisconfiguredError
from harvester.hub.options import define_hub_command, hub_config
from harvester.hub.own_names import own_names

_LOCAL = ("localhost", "127.0.0.1", "::1")


def define(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    define_hub_command(parser, "Create a node's login, or revoke it.", _enroll)
    parser.add_argument("node", nargs="?", help="the node's id, for example pi4")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--revoke", action="store_true", help="revoke the node's login at once")
    what.add_argument("--list", action="store_true", help="list every account")
    add_output_options(parser)
    parser.add_argument(
        "--certificate",
        action="store_true",
        help="also make a client certificate, for [broker] client_certificates",
    )


def add_output_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of a credentials file."""
    parser.add_argument(
        "--output",
        type=Path,
        metavar="FILE",
        help="the file to copy to the node; default: credentials-NODE.toml here",
    )
    parser.add_argument(
        "--host",
        help="name or address under which the node finds this hub; default: this machine's address",
    )


def _enroll(options: argparse.Namespace) -> None:
    config = hub_config(options)
    files = hub_files.of(config, os.environ)
    if options.list:
        print(_listed(accounts.load(files.accounts)), end="")
        return
    if options.node is None:
        raise MisconfiguredError("enroll: expected a node's id, or --list")
    if options.revoke:
        if options.node not in accounts.load(files.accounts).nodes:
            raise MisconfiguredError(f"{files.accounts}: found no node {options.node!r}")
        accounts.revoke(files.accounts, options.node)
        print(f"{options.node}: login revoked")
        return
    _make_credentials(options, config, files)


def _make_credentials(options: argparse.Namespace, config: Config, files: HubFiles) -> None:
    output = options.output or Path(f"credentials-{options.node}.toml")
    url = url_for_nodes(options, config, files)
    pair = None
    if options.certificate:
        now = dt.datetime.now(dt.UTC)
        pair = certificates.make_client(certificates.authority(files.tls_dir), options.node, now)
    token = accounts.enroll(files.accounts, options.node, with_nats=not config.embeds_broker)
    made = Credentials(
        username=options.node,
        token=token,
        url=url,
        ca_certificate=ca_of(files),
        certificate=pair.certificate.decode() if pair else "",
        key=pair.key.decode() if pair else "",
        bundle_key=bundle_key.ensure(files.login_dir),
    )
    credentials.save(output, made)
    print(
        f"{output}: the login of {options.node} at {url}\n"
        f"On {options.node}, beside its configuration, for example:\n"
        f"  sudo install -m 600 -o harvester {output.name} /etc/harvester/credentials.toml\n"
        "Then remove every other copy."
    )


def url_for_nodes(options: argparse.Namespace, config: Config, files: HubFiles) -> str:
    """Return the URL under which nodes find the broker."""
    if not config.embeds_broker:
        return config.broker.url
    has_tls = (files.tls_dir / CERTIFICATE_NAME).exists()
    port = config.broker.tls_port if has_tls else config.broker.port
    host = options.host or (_certified(files) if has_tls else _address(config))
    return broker_url.make(host, port, tls=has_tls)


def _certified(files: HubFiles) -> str:
    """Return the first name of the certificate that is not this machine's own name for itself."""
    names = certificates.validity(files.tls_dir / CERTIFICATE_NAME).names
    return next((name for name in names if name not in _LOCAL), names[0])


def _address(config: Config) -> str:
    names = [name for name in own_names(config) if name not in _LOCAL]
    if not names:
        raise MisconfiguredError("found no address of this machine; expected --host HOST")
    return names[0]


def ca_of(files: HubFiles) -> str:
    """Return the certificate of the hub's CA, empty where there is none."""
    path = files.tls_dir / CA_NAME
    return path.read_text() if path.exists() else ""


def _listed(found: Accounts) -> str:
    rows = [(name, "node", machine.since_ms) for name, machine in sorted(found.nodes.items())]
    rows += [(name, p.role.value, p.since_ms) for name, p in sorted(found.people.items())]
    if not rows:
        return "no accounts yet\n"
    width = max(len(name) for name, _, _ in rows)
    return "".join(
        f"{name:<{width}}  {role:<8}  since {_day(since_ms)}\n" for name, role, since_ms in rows
    )


def _day(since_ms: int) -> str:
    return dt.datetime.fromtimestamp(since_ms / 1000, dt.UTC).strftime("%Y-%m-%d %H:%M UTC")
