"""`harvester broker`: files for Mosquitto in place of the hub's broker, and that broker alone."""

import argparse
import os
from pathlib import Path

from broker.auth import accounts, enrolment
from broker.auth import mosquitto as files_of_mosquitto
from bus.client import credentials
from bus.config import broker_url, command_line, hub_files
from bus.config.hub_files import HubFiles
from bus.config.settings import Config
from bus.files.private_file import write
from harvester.hub.options import define_hub_command, hub_config

_LOCAL_PORT = 1884


def define(parser: argparse.ArgumentParser) -> None:
    """Add the command's two verbs."""
    verbs = parser.add_subparsers(required=True, metavar="COMMAND")
    about = "write Mosquitto's files: ACL, passwords, listeners"
    acl = verbs.add_parser("acl", help=about)
    define_hub_command(acl, f"{about[0].upper()}{about[1:]}.", _acl)
    acl.add_argument(
        "--output", type=Path, required=True, metavar="DIR", help="folder to write the files to"
    )
    acl.add_argument(
        "--local-port",
        type=int,
        default=_LOCAL_PORT,
        help=f"port that needs no login, for clients on that machine; default: {_LOCAL_PORT}",
    )
    acl.add_argument(
        "--installed",
        default="/etc/mosquitto/harvester",
        metavar="DIR",
        help="folder where Mosquitto will find the files; default: %(default)s",
    )
    run = verbs.add_parser(
        "run", help="run the hub's broker alone, without logins, on the loopback address: for tests"
    )
    command_line.add_options(run)
    run.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> None:
    # It loads amqtt, which no other command needs.
    from harvester.hub import open_broker  # noqa: PLC0415

    open_broker.run(command_line.load(options, "hub").broker)


def _acl(options: argparse.Namespace) -> None:
    config = hub_config(options)
    files = hub_files.of(config, os.environ)
    _enroll_this_machine(config, files)
    found = accounts.load(files.accounts)
    texts = {
        files_of_mosquitto.ACL_NAME: files_of_mosquitto.acl(
            found, allow_local=config.broker.allow_local, prefix=config.homeassistant.prefix
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
    enrolment.ensure_hub(files.accounts, files.login_dir / credentials.HUB_FILE_NAME)
