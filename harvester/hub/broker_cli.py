"""`harvester broker` and `harvester tls`: another broker in the hub's place, and certificates."""

import argparse
import datetime as dt
import os
from pathlib import Path

from broker.auth import accounts, certificates, enrolment
from broker.auth import mosquitto as files_of_mosquitto
from broker.auth.server_tls import CA_NAME, CERTIFICATE_NAME
from bus.client import credentials
from bus.config import broker_url, command_line, hub_files
from bus.config.hub_files import HubFiles
from bus.config.settings import Config
from bus.private_file import write
from harvester.hub.options import add_command, hub_config, own_names

_LOCAL_PORT = 1884


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the commands to the parser."""
    broker = commands.add_parser("broker", help="let another broker stand in place of the hub's")
    parts = broker.add_subparsers(required=True, metavar="COMMAND")
    added = add_command(parts, "acl", "write Mosquitto's files: acl, passwords, listeners", _acl)
    added.add_argument("--output", type=Path, required=True, metavar="DIR", help="where to")
    added.add_argument(
        "--local-port",
        type=int,
        default=_LOCAL_PORT,
        help=f"where who is on that machine needs no login; default: {_LOCAL_PORT}",
    )
    added.add_argument(
        "--installed",
        default="/etc/mosquitto/harvester",
        metavar="DIR",
        help="where Mosquitto will find the files; default: %(default)s",
    )
    added = parts.add_parser(
        "run",
        help="run the hub's broker alone, open to everyone on this machine: for test suites",
        parents=[command_line.parser("harvester broker run", "")],
        conflict_handler="resolve",
    )
    added.set_defaults(run=_run)
    tls = commands.add_parser("tls", help="certificates for the hub's broker")
    parts = tls.add_subparsers(required=True, metavar="COMMAND")
    for name, about, run in (
        ("init", "make a CA and the hub's certificate", _init),
        ("renew", "replace the hub's certificate, without a new CA", _renew),
    ):
        added = add_command(parts, name, about, run)
        added.add_argument(
            "--name",
            dest="names",
            action="append",
            default=[],
            metavar="HOST",
            help="host name or address under which nodes find the hub, beside this machine's own",
        )


def _run(options: argparse.Namespace) -> None:
    # Only here: it loads the broker, which no other command needs.
    from harvester.hub import open_broker  # noqa: PLC0415

    open_broker.run(command_line.load(options, "hub").broker)


def _acl(options: argparse.Namespace) -> None:
    config = hub_config(options)
    files = hub_files.of(config, os.environ)
    _enroll_this_machine(config, files)
    found = accounts.load(files.accounts)
    texts = {
        files_of_mosquitto.ACL_NAME: files_of_mosquitto.acl(
            found, allow_local=config.broker.allow_local
        ),
        files_of_mosquitto.PASSWORDS_NAME: files_of_mosquitto.password_file(found),
        files_of_mosquitto.CONF_NAME: _conf(config, options),
    }
    for name, text in texts.items():
        write(options.output / name, text.encode())
        print(options.output / name)


def _conf(config: Config, options: argparse.Namespace) -> str:
    port, tls_folder = config.broker.port, ""
    if config.broker.url:
        url = broker_url.parse(config.broker.url, "broker.url")
        port, tls_folder = url.port, options.installed if url.tls else ""
    return files_of_mosquitto.conf(
        config.broker,
        options.installed,
        port=port,
        local_port=options.local_port,
        tls_folder=tls_folder,
    )


def _enroll_this_machine(config: Config, files: HubFiles) -> None:
    """Give the hub and its own node their logins, if they have none."""
    node_file = credentials.path_for(config, os.environ)
    enrolment.ensure(files.accounts, config.cluster.node_id, node_file)
    enrolment.ensure_hub(files.accounts, files.state_dir / credentials.HUB_FILE_NAME)


def _init(options: argparse.Namespace) -> None:
    config = hub_config(options)
    directory = hub_files.of(config, os.environ).tls_dir
    names = list(dict.fromkeys([*options.names, *own_names(config)]))
    certificates.init(directory, names, dt.datetime.now(dt.UTC))
    _tell(directory)
    print("Restart the hub, then enroll every node again: its file then brings the CA along.")


def _renew(options: argparse.Namespace) -> None:
    config = hub_config(options)
    directory = hub_files.of(config, os.environ).tls_dir
    names = [*options.names, *own_names(config)] if options.names else []
    certificates.renew(directory, list(dict.fromkeys(names)), dt.datetime.now(dt.UTC))
    _tell(directory)
    print("A running hub takes it up by itself.")


def _tell(directory: Path) -> None:
    found = certificates.validity(directory / CERTIFICATE_NAME)
    print(f"CA: {directory / CA_NAME}")
    print(f"certificate: until {found.until:%Y-%m-%d} for {', '.join(found.names)}")
